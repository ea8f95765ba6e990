"""Polling from within a task."""

from __future__ import annotations

import time

import pytest

from pihupulse_provider.api import Account, Client, RetryPolicy, UnauthorizedError
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.triggers.waiting import TaskPoller
from pihupulse_provider.waiting.wait_spec import WaitSpec
from pihupulse_provider.waiting.wait_state import GRACE, WaitState
from tests.waiting.listener import Listener

STARTED_AT = 1_000_000.0


@pytest.fixture
def sandbox():
    return Sandbox(start_seconds=1e9, screening_seconds=1e9)


@pytest.fixture
def client(sandbox):
    account = Account(sandbox.api_key, sandbox.base_url)
    return Client(account, transport=sandbox.transport(), retry=RetryPolicy(attempts=1))


def screenings(sandbox, count):
    return sandbox.insert_screenings(sandbox.insert_candidates(count))


class Poller(TaskPoller):
    """Polls at a time that the test sets, and returns where the wait then stands."""

    def __init__(self, ids, **options):
        self.at = STARTED_AT
        self.heard = Listener()
        super().__init__(WaitState(WaitSpec(dict.fromkeys(ids), STARTED_AT, **options)), self.heard, lambda: self.at)

    def verdict_at(self, client, at):
        self.at = at
        self.poll(client)
        return self.state.judge()


def test_it_asks_only_for_what_still_waits(sandbox, client):
    ids = screenings(sandbox, 450)
    task_poller = Poller(ids)
    for one in ids[:400]:
        sandbox.complete(one)
    assert str(task_poller.verdict_at(client, STARTED_AT)) == "400 of 450 screenings completed, 0 failed, 50 waiting"
    before = sandbox.count()
    task_poller.verdict_at(client, STARTED_AT)
    assert sandbox.count() - before == 1


@pytest.mark.parametrize("kind", ["error", "html", "drop", "truncated", "empty"])
def test_a_fault_that_may_pass_is_a_poll_that_saw_nothing(sandbox, client, kind):
    task_poller = Poller(screenings(sandbox, 1))
    sandbox.fail_next(kind)
    assert task_poller.verdict_at(client, STARTED_AT).state == "waiting"
    assert "the wait goes on" in task_poller.heard.lines[0]
    sandbox.complete(sandbox.screenings[0]["id"])
    assert task_poller.verdict_at(client, STARTED_AT).state == "succeeded"


def test_what_was_seen_before_a_fault_counts(sandbox, client):
    ids = screenings(sandbox, 250)
    for one in ids:
        sandbox.complete(one)
    task_poller = Poller(ids)
    sandbox.service.faults.active.clear()
    answered = sandbox.count()
    original = client.run

    def fail_third(call, **options):
        if sandbox.count() - answered == 2:
            sandbox.fail_next("error")
        return original(call, **options)

    client.run = fail_third
    assert task_poller.verdict_at(client, STARTED_AT).completed == 150


def test_a_wrong_key_is_an_error(sandbox):
    account = Account("wrong", sandbox.base_url)
    with pytest.raises(UnauthorizedError):
        Poller(screenings(sandbox, 1)).verdict_at(Client(account, transport=sandbox.transport()), time.time())


def test_a_screening_that_is_not_there_fails_after_a_minute(sandbox, client):
    screenings(sandbox, 150)
    task_poller = Poller(["s1"])
    assert task_poller.verdict_at(client, STARTED_AT + GRACE - 1).state == "waiting"
    assert task_poller.verdict_at(client, STARTED_AT + GRACE).failed == {"s1": "not_found"}


def test_progress_is_logged_when_it_changes_and_else_every_five_minutes(sandbox, client):
    ids = screenings(sandbox, 2)
    poller = Poller(ids, interval=5.0)
    for seconds in range(0, 301, 5):
        poller.verdict_at(client, STARTED_AT + seconds)
        if seconds == 10:
            sandbox.complete(ids[0])
        poller.report()
    assert poller.heard.lines == [
        "0 of 2 screenings completed, 0 failed, 2 waiting. The next poll is at 1970-01-12 13:46:45 UTC.",
        "1 of 2 screenings completed, 0 failed, 1 waiting. The next poll is at 1970-01-12 13:47:00 UTC.",
    ]
    poller.at = STARTED_AT + 400
    poller.report()
    assert len(poller.heard.lines) == 3
