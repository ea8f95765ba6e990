"""Fixtures for the tests of the client."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pihupulse_provider.api import Account
from pihupulse_provider.sandbox import Sandbox
from tests.api.drivers import DRIVERS, Driver


@pytest.fixture(params=DRIVERS)
def connect(request: pytest.FixtureRequest) -> Callable[..., Driver]:
    """Connects a client to a scripted service: each test runs with the blocking one and with the event loop's."""
    return DRIVERS[request.param]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(start_seconds=0.0, screening_seconds=0.0) as running:
        yield running


@pytest.fixture
def account(sandbox: Sandbox) -> Iterator[Account]:
    yield Account(sandbox.api_key, sandbox.base_url, timeout=5)
    sandbox.heal()
