"""The first poll of a wait, in its own task."""

from __future__ import annotations

import logging

import pytest

from pihupulse_provider.api import Account, Client, MemoryRateLimit
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.list_pages import ListPages
from pihupulse_provider.triggers.waiting import TaskPoller
from pihupulse_provider.waiting.wait_spec import WaitSpec
from pihupulse_provider.waiting.wait_state import WaitState

START = 1_700_000_000.0


class World:
    """An account of 450 screenings, and tasks that wait for one each."""

    def __init__(self, folder):
        self.sandbox = Sandbox(clock=lambda: START, start_seconds=1e9)
        self.ids = self.sandbox.insert_screenings(self.sandbox.insert_candidates(450))
        self.pages = ListPages(Store(f"sqlite:///{folder}/store.db", wall_clock=self.now), "account")
        account = Account(self.sandbox.api_key, self.sandbox.base_url)
        self.client = Client(account, limit=MemoryRateLimit(clock=self.now), transport=self.sandbox.transport())

    def now(self):
        return self.sandbox.service.clock.now()

    def task(self, one, waited=0.0):
        spec = WaitSpec({one: None}, self.now() - waited)
        return TaskPoller(WaitState(spec), logging.getLogger(__name__), now=self.now, pages=self.pages)

    def requests(self):
        return self.sandbox.count("GET /screenings")


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_tasks_that_begin_together_read_each_page_of_the_list_once(world):
    for one in world.ids:
        world.sandbox.complete(one)
    assert [world.task(one).poll(world.client) for one in world.ids[::50]] == ["decided"] * 9
    assert world.requests() == 5


def test_the_next_poll_reads_what_is_there_then(world):
    task = world.task(world.ids[0])
    assert task.poll(world.client) is None
    world.sandbox.complete(world.ids[0])
    assert task.poll(world.client) == "decided"


def test_a_page_of_another_moment_is_no_proof_that_a_screening_is_gone(world):
    """Rows move between two moments, and a wait that is older than a minute would take one for gone."""
    world.task(world.ids[0]).poll(world.client)
    before = world.requests()
    assert world.task(world.ids[0], waited=61).poll(world.client) is None
    assert world.requests() > before
