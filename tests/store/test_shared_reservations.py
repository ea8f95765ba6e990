"""Slots that processes reserve several at once in a store: the limit holds whoever comes, dies or is refused when."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection

from pihupulse_provider.api import Plan
from pihupulse_provider.api.rate_limit import AHEAD_SECONDS, Slot
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders
from pihupulse_provider.api.reservations import Reservations
from pihupulse_provider.store.engine import NoConnectionLeftError, Store
from pihupulse_provider.store.limits import StoreRateLimit

NOW = 1_700_000_000.0
ENTERPRISE = Plan(1000, 1500)
accounts = (f"account {number}" for number in itertools.count())
plans = st.builds(Plan, st.floats(10, 3000), st.floats(1, 200))
gaps = st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.3, 1.0, 7.0])
happenings = st.sampled_from(["ask", "ask", "ask", "ask", "poll", "killed", "429", "smaller plan"])
steps = st.lists(st.tuples(gaps, st.integers(0, 2), st.integers(1, 20), happenings), min_size=1, max_size=30)


class CommonStore(Store):
    """A store in memory whose time is its latest fleet's."""

    fleet: Fleet

    def __init__(self) -> None:
        super().__init__("sqlite://", lambda: self.fleet.now)


_store = cache(CommonStore)


class Fleet:
    """Processes that share a limit in one store, in simulated time.

    :ivar sent: when requests were sent.
    """

    def __init__(self, plan: Plan, processes: int = 3) -> None:
        self.now = NOW
        self.plan = plan
        self.store = _store()
        self.store.fleet = self
        self.account = next(accounts)
        self.limits = [self.start() for _ in range(processes)]
        self.sent: list[float] = []
        self._sleeping: list[tuple[StoreRateLimit, Slot, bool]] = []

    def start(self) -> StoreRateLimit:
        return StoreRateLimit(self.store, self.account, self.plan, clock=lambda: self.now)

    def kill(self, process: int) -> None:
        """Start a process anew, without whoever slept in it."""
        limit = self.limits[process]
        self._sleeping = [one for one in self._sleeping if one[0] is not limit]
        self.limits[process] = self.start()

    def ask(self, limit: StoreRateLimit, *, poll: bool = False) -> None:
        slot = limit.reserve(poll=poll)
        if slot.taken and slot.at <= self.now:
            self.sent.append(self.now)
        else:
            self._sleeping.append((limit, slot, poll))

    def sleep_until(self, moment: float) -> None:
        """Let time pass, in which sleepers wake as the client's do."""
        while due := [one for one in self._sleeping if one[1].at <= moment]:
            first = min(due, key=lambda one: one[1].at)
            self._sleeping.remove(first)
            limit, slot, poll = first
            self.now = max(self.now, slot.at)
            if slot.taken and not limit.is_void(slot):
                self.sent.append(self.now)
            else:
                self.ask(limit, poll=poll)
        self.now = moment

    def respond(self, limit: StoreRateLimit, /, **headers: object) -> None:
        known = limit._known
        slot = Slot(self.now, taken=True, voided=known.voided)
        limit.observe(slot, RateLimitHeaders(sent_at=self.now, received_at=self.now, **headers))  # type: ignore[arg-type]


def _exceeds(sent: list[float], plan: Plan) -> bool:
    """Return whether a token bucket, of a request more than is ever spent, would have refused any."""
    tokens, counted_at = plan.burst, NOW
    for at in sorted(sent):
        tokens = min(plan.burst, tokens + (at - counted_at) / plan.interval) - 1
        counted_at = at
        if tokens < -1e-3:
            return True
    return False


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

    assert not _exceeds(fleet.sent, plan)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet(ENTERPRISE, 2)


def _spend_the_burst(fleet: Fleet) -> None:
    while fleet.limits[1].reserve().at <= fleet.now:
        pass
    fleet.kill(1)
    fleet.sleep_until(fleet.now + 2)
    fleet.sent.clear()


def _import_for(fleet: Fleet, seconds: float, senders: int = 16) -> None:
    """Send with so many senders that ask again as soon as they have sent."""
    asked, until = len(fleet.sent), fleet.now + seconds
    while fleet.now < until:
        while asked < len(fleet.sent) + senders:
            asked += 1
            fleet.ask(fleet.limits[0])
        fleet.sleep_until(fleet.now + 0.01)


def test_an_import_keeps_the_pace_of_the_plan_with_few_transactions(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    _spend_the_burst(fleet)
    transactions, begin = [], fleet.store.begin
    monkeypatch.setattr(fleet.store, "begin", lambda **kind: transactions.append(kind) or begin(**kind))

    _import_for(fleet, 60)

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
    _spend_the_burst(fleet)
    for _ in range(16):
        fleet.ask(fleet.limits[0])
    _import_for(fleet, 3)
    fleet.kill(0)

    slot = fleet.limits[1].reserve()

    assert slot.taken
    assert slot.at - fleet.now <= AHEAD_SECONDS + 0.5


def test_a_single_create_waits_no_longer_than_an_imports_turn(fleet: Fleet) -> None:
    _spend_the_burst(fleet)
    _import_for(fleet, 3)

    slot = fleet.limits[1].reserve()

    assert slot.taken
    assert slot.at - fleet.now <= AHEAD_SECONDS + 0.5


def test_reserved_slots_are_dropped_when_a_429_or_a_smaller_plan_comes(fleet: Fleet) -> None:
    _spend_the_burst(fleet)
    limit = fleet.limits[0]
    reserved = [limit.reserve() for _ in range(3)]

    fleet.respond(limit, limit=100.0)
    assert all(limit.is_void(slot) for slot in reserved if slot.taken)

    later = limit.reserve()
    fleet.respond(limit, limited=True, retry_after=30.0)
    assert limit.is_void(later)
    assert limit.reserve().at >= fleet.now + 30


def _slow_down(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, *, waits: float = 0.0, ends: float = 0.0) -> list[float]:
    """Let each transaction wait for the row, and take some time to end; return when they began, as they do."""
    began, begin = [], fleet.store.begin

    @contextmanager
    def begin_slowly(*, durable: bool) -> Iterator[Connection]:
        began.append(fleet.now)
        fleet.now += waits
        with begin(durable=durable) as connection:
            yield connection
        fleet.now += ends

    monkeypatch.setattr(fleet.store, "begin", begin_slowly)
    return began


def test_a_process_that_waits_long_for_the_row_takes_what_it_uses_until_it_has_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = Fleet(Plan(60_000, 6000), 1)
    transactions = _slow_down(fleet, monkeypatch, waits=0.3)

    for _ in range(40):
        for _ in range(16):
            fleet.ask(fleet.limits[0])
        fleet.sleep_until(fleet.now + 0.05)

    assert len(fleet.sent) >= 10 * len(transactions)
    assert not _exceeds(fleet.sent, fleet.plan)


def test_one_that_uses_few_takes_few_however_long_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(ENTERPRISE, 1)
    _slow_down(fleet, monkeypatch, waits=0.3)
    taken = []
    for _ in range(50):
        taken.append(fleet.limits[0].reserve())
        fleet.now += 0.1

    assert taken[-1].used <= 1.15 * len(taken)


def test_a_slot_is_of_when_the_process_has_it(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slots of a far store would be late already, and left out soon after."""
    _slow_down(fleet, monkeypatch, ends=0.04)
    fleet.limits[0].reserve()
    fleet.now += 1

    slot = fleet.limits[0].reserve()

    assert slot.at == pytest.approx(fleet.now, abs=0.001)


def test_what_is_reserved_for_callers_to_come_is_bounded() -> None:
    """It is what a killed process costs."""
    reservations = Reservations()
    reservations.add([Slot(NOW, taken=True)] * 1000, 0.3)
    for _ in range(1000):
        reservations.take(NOW, 0)

    assert reservations.wanted(NOW, 25) == 25
    assert reservations.wanted(NOW, 5000) == 2000
    assert reservations.wanted(NOW + 60, 5000) == 1, "it has been idle since"


@pytest.mark.parametrize(("after", "voided"), [(0.5, 0), (0.0, 1)], ids=["too late", "void"])
def test_a_reserved_slot_is_not_saved_up_and_not_used_once_it_is_void(after: float, voided: int) -> None:
    reservations = Reservations()
    reservations.add([Slot(NOW, taken=True), Slot(NOW + 1, taken=True, voided=voided)], 0.0)

    slot = reservations.take(NOW + after, voided)

    assert slot is not None
    assert slot.at == NOW + 1


def test_a_store_without_a_connection_left_makes_requests_wait(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are using the limit there: going on without it would exceed it."""
    limit = fleet.limits[0]

    def refuse(**_kind: object) -> None:
        raise NoConnectionLeftError("too many clients already")

    with monkeypatch.context() as patched:
        patched.setattr(fleet.store, "begin", refuse)
        assert [limit.reserve().taken for _ in range(3)] == [False] * 3

    assert limit.reserve().taken
