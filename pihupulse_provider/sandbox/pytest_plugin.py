"""The pytest fixture ``pihupulse_sandbox``, for tests of DAGs that use PihuPulse."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pihupulse_provider import sandbox

if TYPE_CHECKING:
    from pihupulse_provider.sandbox import Sandbox


_SCHEMA_VERSION = "pihupulse_schema"
"""The table of the provider's store that says which tables there are."""


@pytest.fixture(scope="session")
def _pihupulse_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the store of this run of the tests is."""
    return tmp_path_factory.mktemp("pihupulse") / "store.db"


@pytest.fixture
def pihupulse_sandbox(monkeypatch: pytest.MonkeyPatch, _pihupulse_store: Path) -> Iterator[Sandbox]:
    """Run a local PihuPulse for one test, make it the connection ``pihupulse_default``, and have an empty store.

    It has no rate limit, and screenings start and complete within a fifth of a second. Its key is new each time: a
    port comes again, and with it what a process remembers of an earlier test's account. The store is
    ``[pihupulse] store_url``, until the test names another one.
    """
    api_key = f"pp_sandbox_{os.urandom(8).hex()}"
    with sandbox.Sandbox(api_key=api_key, start_seconds=0.1, screening_seconds=0.1) as running:
        monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", running.connection_json)
        # In dag.test() no worker has to report that a task was deferred, so no trigger has to wait for that.
        monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
        _empty(_pihupulse_store)
        monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL", f"sqlite:///{_pihupulse_store}")
        yield running


def _empty(store: Path) -> None:
    """Empty the tables of the store: to make them anew takes longer than many a test."""
    import sqlite3

    if not store.exists():
        return
    with closing(sqlite3.connect(store, timeout=30)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            if table != _SCHEMA_VERSION:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - named by the store itself
