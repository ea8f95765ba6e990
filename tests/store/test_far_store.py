"""Many processes, or a far store: the row of the limit is what they wait for, and yet the whole plan is used."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from pihupulse_provider.api import Plan
from tests.store.virtual_fleet import Fleet

Played = tuple[float, int]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Played]:
    """Let processes send for so many seconds; return the share of the plan used in the second half, and all 429s."""

    def play(plan: Plan, processes: int, senders: int, store_seconds: float, seconds: float, reading: str) -> Played:
        service = {"rate": plan.requests_per_minute, "burst": plan.burst, "reading": reading}
        told = {"reset": None, "headers": "", "skew": 0.0}
        url, dice = f"sqlite:///{tmp_path}/store.db", random.Random(1)
        fleet = Fleet(url, dice, latency=0.05, store_seconds=store_seconds, **service, **told)
        for _ in range(processes):
            fleet.start(apart=0.0, plan=plan).work(senders)
        fleet.hub.run(seconds)
        fleet.end()
        served = fleet.service.count("served", seconds / 2, seconds)
        return served * plan.interval / (seconds / 2), fleet.service.count("limited", 0, seconds)

    return play


@pytest.mark.parametrize(
    ("plan", "processes", "senders", "store_seconds"),
    [(Plan(3600, 60), 4, 4, 0.1), (Plan(3000, 60), 2, 8, 0.3)],
    ids=["many processes", "a very far store"],
)
def test_the_whole_plan_is_used_where_more_is_needed_than_one_slot_a_sender_and_turn(
    play: Callable[..., Played], plan: Plan, processes: int, senders: int, store_seconds: float
) -> None:
    """What was reserved for senders that had yet to come back was too old when they came, and left out."""
    share, limited = play(plan, processes, senders, store_seconds, 20.0, "bucket")

    assert share >= 0.97
    assert limited == 0


def test_a_window_is_not_taken_for_a_bucket_by_what_a_fleet_has_reserved(play: Callable[..., Played]) -> None:
    """The service has counted fewer requests than there are slots, as many are still to be used."""
    _, limited = play(Plan(3000, 3000), 8, 8, 0.1, 50.0, "window")

    assert limited == 0
