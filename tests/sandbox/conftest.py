from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.sandbox.clients import START, client_of


@pytest.fixture
def sandbox() -> Sandbox:
    """A sandbox without a port whose time stands still."""
    return Sandbox(clock=lambda: START)


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with client_of(sandbox) as client:
        yield client
