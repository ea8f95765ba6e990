"""The pytest fixture ``pihupulse_sandbox``, for tests of DAGs that use PihuPulse."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pihupulse_provider import sandbox

if TYPE_CHECKING:
    from pihupulse_provider.sandbox import Sandbox


@pytest.fixture
def pihupulse_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Run a local PihuPulse for one test and make it the connection ``pihupulse_default``.

    It has no rate limit, and screenings start and complete within a fifth of a second. Its key is new each time: a
    port comes again, and with it what the provider's store knows of an earlier test's account.
    """
    api_key = f"pp_sandbox_{os.urandom(8).hex()}"
    with sandbox.Sandbox(api_key=api_key, start_seconds=0.1, screening_seconds=0.1) as running:
        monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", running.connection_json)
        # In dag.test() no worker has to report that a task was deferred, so no trigger has to wait for that.
        monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
        yield running
