"""A PihuPulse whose lists are in either order, and a store."""

from __future__ import annotations

import pytest

from tests.creating.world import World


@pytest.fixture
def store_url(tmp_path):
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture(params=["oldest-first", "newest-first"])
def world(store_url, request):
    return World(store_url, order=request.param, candidates=350, start_seconds=1e9)
