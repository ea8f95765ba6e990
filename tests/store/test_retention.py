"""Retention: what is old is deleted, and a clock that is set makes nothing old."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pihupulse_provider.api.events import WebhookEvent
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.inbox import Delivery, EventFilter, Inbox
from pihupulse_provider.store.retention import prune_older_than

HOUR = 3600.0
DAY = 24 * HOUR
RETENTION = 30 * DAY


class Machine:
    """A machine whose clock a test sets, with a receiver that deletes what is old every hour."""

    def __init__(self, path: Path) -> None:
        self.now = 1_700_000_000.0
        self.store = Store(f"sqlite:///{path}", wall_clock=lambda: self.now)
        self.inbox = Inbox(self.store)
        self.prune()

    def prune(self) -> None:
        prune_older_than(self.store, RETENTION)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 6 * HOUR
            self.prune()

    def receive(self, name: str) -> None:
        body = b'{"event": "%s"}' % name.encode()
        self.inbox.append([Delivery("c", WebhookEvent.parse(body), body)])

    def kept(self) -> list[str]:
        return [entry.event.event for entry in self.inbox.read_all(EventFilter()).events]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "store.db")
    yield machine
    machine.store.dispose()


def test_what_is_older_than_the_retention_is_deleted(machine: Machine):
    machine.receive("old")
    machine.run(DAY)
    machine.receive("young")
    machine.run(RETENTION - DAY / 2)
    assert machine.kept() == ["young"]
    machine.run(DAY)
    assert machine.kept() == []


@pytest.mark.parametrize("jump", [31 * DAY, 3650 * DAY])
def test_a_clock_that_is_set_forward_deletes_nothing_that_is_young(machine: Machine, jump: float):
    machine.receive("before")
    machine.run(DAY)
    machine.now += jump
    machine.receive("after")
    machine.prune()
    machine.run(27 * DAY)
    assert machine.kept() == ["before", "after"]
    machine.run(2 * DAY)
    assert machine.kept() == ["after"]
    machine.run(4 * DAY)
    assert machine.kept() == []


def test_two_jumps_delete_nothing_either(machine: Machine):
    machine.receive("before")
    machine.now += 31 * DAY
    machine.prune()
    machine.now += 31 * DAY
    machine.prune()
    assert machine.kept() == ["before"]


def test_a_clock_that_was_wrong_for_a_while_deletes_nothing(machine: Machine):
    machine.receive("before")
    machine.now += 31 * DAY
    machine.receive("meanwhile")
    machine.prune()
    machine.now -= 31 * DAY
    machine.prune()
    assert machine.kept() == ["before", "meanwhile"]


def test_the_time_in_which_no_receiver_ran_counts_for_a_day(machine: Machine):
    machine.receive("before")
    machine.now += 40 * DAY
    machine.prune()
    assert machine.kept() == ["before"]
    machine.run(29.5 * DAY)
    assert machine.kept() == []
