"""Fixtures for the tests of the client."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api.drivers import DRIVERS, Driver


@pytest.fixture(params=DRIVERS)
def connect(request: pytest.FixtureRequest) -> Callable[..., Driver]:
    """Connects a client to a scripted service: each test runs with the blocking one and with the event loop's."""
    return DRIVERS[request.param]
