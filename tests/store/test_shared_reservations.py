"""Slots that processes reserve several at once in a store: the limit holds whoever comes, dies or is refused when."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pihupulse_provider.api import Plan
from pihupulse_provider.api.rate_limit import AHEAD_SECONDS, Slot, Wanted
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders
from pihupulse_provider.store.limit_row import locked_limit
from pihupulse_provider.store.reservations import Reservations
from tests.store.fleet import ENTERPRISE, NOW, Fleet, exceeds

plans = st.builds(Plan, st.floats(10, 3000), st.floats(1, 200))
gaps = st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.3, 1.0, 7.0])
happenings = st.sampled_from(["ask", "ask", "ask", "ask", "poll", "killed", "429", "smaller plan"])
steps = st.lists(st.tuples(gaps, st.integers(0, 2), st.integers(1, 20), happenings), min_size=1, max_size=30)


@settings(max_examples=50, deadline=None)
@given(plans, steps)
def test_the_limit_is_never_exceeded(plan: Plan, steps: list[tuple[float, int, int, str]]) -> None:
    """Whatever is asked for in which process, whichever is killed, and after a smaller plan or a 429 in each.

    A process that has not heard of another's 429 yet may use the slots that it has reserved: those of a second or so.
    """
    fleet = Fleet(plan)
    for gap, process, count, happening in steps:
        fleet.sleep_until(fleet.now + gap)
        limit = fleet.limits[process]
        if happening == "killed":
            fleet.kill(process)
        elif happening == "429":
            for each in fleet.limits:
                fleet.respond(each, limited=True, retry_after=2.0)
        elif happening == "smaller plan":
            fleet.respond(limit, limit=max(1.0, plan.requests_per_minute / 2))
        else:
            for _ in range(count):
                fleet.ask(limit, poll=happening == "poll")
    fleet.sleep_until(fleet.now + 5)

    assert not exceeds(fleet.sent, plan)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet(ENTERPRISE, 2)


def test_an_import_keeps_the_pace_of_the_plan_with_few_transactions(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.spend_the_burst()
    transactions, begin = [], fleet.store.begin
    monkeypatch.setattr(fleet.store, "begin", lambda **kind: transactions.append(kind) or begin(**kind))

    fleet.import_in(fleet.limits[:1], 60)

    assert len(fleet.sent) >= 0.97 * ENTERPRISE.requests_per_minute
    assert len(transactions) <= 0.2 * len(fleet.sent)


def test_an_import_of_uneven_pace_loses_next_to_nothing_of_the_burst(fleet: Fleet) -> None:
    """Its senders have their responses in groups: what it reserved for the busiest moment must not be left unused."""
    fleet.sleep_until(fleet.now + 1)
    limit, began_at = fleet.limits[0], fleet.now
    for count in [20, 3, 2, 2, 12, 2, 2, 2] * 10:
        for _ in range(count):
            fleet.ask(limit)
        fleet.sleep_until(fleet.now + 0.02)

    left = ENTERPRISE.spendable - len(fleet.sent) + (fleet.now - began_at) / ENTERPRISE.interval
    found = sum(1 for _ in itertools.takewhile(lambda slot: slot.at <= fleet.now, iter(fleet.limits[1].reserve, None)))
    assert found >= 0.98 * left


@pytest.mark.parametrize("busy", [True, False])
def test_slots_that_a_slow_process_did_not_use_in_time_are_given_back(busy: bool) -> None:
    """A window ends with each minute, so that one slot less can mean that the last rows wait a minute longer.

    Those that were left out long ago are not: the burst has been whole since, and it can't be more than whole.
    """
    fleet = Fleet(Plan(300, 450), 1)
    (limit,) = fleet.limits
    limit.observe(limit.reserve(), RateLimitHeaders(NOW, NOW, limit=300, remaining=299, resets_in=59.0))
    while limit._known.window_used < len(fleet.sent) + 5:
        fleet.ask(limit)
        fleet.sleep_until(fleet.now + 0.002)
    reserved = limit._known.window_used
    fleet.sleep_until(fleet.now + (1.0 if busy else 10.0))
    limit.reserve()

    used = 1 + len(fleet.sent) + 1
    assert reserved > used
    assert (limit._known.window_used == used) is busy


def test_what_a_killed_process_had_reserved_costs_two_seconds_at_most(fleet: Fleet) -> None:
    fleet.spend_the_burst()
    for _ in range(16):
        fleet.ask(fleet.limits[0])
    fleet.import_in(fleet.limits[:1], 3)
    fleet.kill(0)

    slot = fleet.limits[1].reserve()

    assert slot.taken
    assert slot.at - fleet.now <= AHEAD_SECONDS + 0.5


def test_a_single_create_waits_no_longer_than_an_imports_turn(fleet: Fleet) -> None:
    fleet.spend_the_burst()
    fleet.import_in(fleet.limits[:1], 3)

    slot = fleet.limits[1].reserve()

    assert slot.taken
    assert slot.at - fleet.now <= AHEAD_SECONDS + 0.5


def test_where_many_processes_import_a_single_create_and_a_killed_worker_cost_little_more() -> None:
    """Such as twelve mapped tasks on two workers, one of which is killed: all that they reserve is one line."""
    fleet = Fleet(Plan(300, 15), 13)
    fleet.spend_the_burst()
    fleet.import_in(fleet.limits[:12], 30)

    assert fleet.limits[12].reserve().at - fleet.now <= 3
    for process in range(6):
        fleet.kill(process)
    sent_before = len(fleet.sent)
    fleet.import_in(fleet.limits[6:12], 30)

    assert len(fleet.sent) - sent_before >= (30 - 3) * 300 / 60


def test_polls_of_a_process_far_from_the_store_get_their_turn() -> None:
    """All ask again at the same time, and the nearest always won: waits in the other process learnt of nothing."""
    fleet = Fleet(Plan(100, 150), 3)
    fleet.spend_the_burst()
    importer, near, far = fleet.limits
    later = {importer: 0.0, near: 0.001, far: 0.01}
    asking = [(fleet.now, number, limit) for number, limit in enumerate([importer] * 4 + [near] * 8 + [far])]
    polls = dict.fromkeys(fleet.limits, 0)
    heapq.heapify(asking)
    while asking[0][0] < NOW + 200:
        fleet.now, number, limit = heapq.heappop(asking)
        slot = limit.reserve(poll=limit is not importer)
        polls[limit] += slot.taken
        again_at = slot.at + 0.05 if slot.taken else max(fleet.now, slot.at) + later[limit]
        heapq.heappush(asking, (again_at, number, limit))

    assert polls[far] >= polls[near] / 20


def test_reserved_slots_are_dropped_when_a_429_or_a_smaller_plan_comes(fleet: Fleet) -> None:
    fleet.spend_the_burst()
    limit = fleet.limits[0]
    reserved = [limit.reserve() for _ in range(3)]

    fleet.respond(limit, limit=100.0)
    assert all(limit.is_void(slot) for slot in reserved if slot.taken)

    later = limit.reserve()
    fleet.respond(limit, limited=True, retry_after=30.0)
    assert limit.is_void(later)
    assert limit.reserve().at >= fleet.now + 30


def test_who_was_told_to_ask_again_late_asks_at_once_after_a_429() -> None:
    """A line of a minute was full, and is void."""
    fleet = Fleet(Plan(60, 4), 1)
    (limit,) = fleet.limits
    with locked_limit(fleet.store, fleet.account, fleet.plan) as row:
        row.state = replace(row.state, full_at=fleet.now + 63)
    assert [limit.reserve().at for _ in range(2)] == [fleet.now + 30] * 2

    fleet.respond(limit, limited=True, backoff=0.5)

    assert limit.reserve().at <= fleet.now + 1


def test_what_is_reserved_for_callers_to_come_is_bounded() -> None:
    """It is what a killed process costs."""
    reservations = Reservations()
    reservations.add([Slot(NOW, taken=True)] * 1000, 0.3)
    for _ in range(1000):
        reservations.take(NOW, 0)

    assert _count(reservations.wanted(NOW, 25)) == 25
    assert _count(reservations.wanted(NOW, 5000)) == 2000
    assert _count(reservations.wanted(NOW + 60, 5000)) == 1, "it has been idle since"


def _count(wanted: Wanted) -> int:
    return wanted.at_once + wanted.later


@pytest.mark.parametrize(("after", "voided"), [(0.5, 0), (0.0, 1)], ids=["too late", "void"])
def test_a_reserved_slot_is_not_saved_up_and_not_used_once_it_is_void(after: float, voided: int) -> None:
    reservations = Reservations()
    reservations.add([Slot(NOW, taken=True), Slot(NOW + 1, taken=True, voided=voided)], 0.0)

    slot = reservations.take(NOW + after, voided)

    assert slot is not None
    assert slot.at == NOW + 1
