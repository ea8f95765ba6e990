"""What becomes of the limit where the store is slow, away, full, or has its clock set."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy.engine import Connection

from pihupulse_provider.api import Plan
from pihupulse_provider.api.rate_limit import Slot
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders
from pihupulse_provider.store.engine import NoConnectionLeftError, StoreError
from tests.store.fleet import ENTERPRISE, Fleet, exceeds


@pytest.fixture
def fleet() -> Fleet:
    return Fleet(ENTERPRISE, 2)


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
    assert not exceeds(fleet.sent, fleet.plan)


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


def test_a_store_without_a_connection_left_makes_requests_wait(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are using the limit there: going on without it would exceed it."""
    limit = fleet.limits[0]

    def refuse(**_kind: object) -> None:
        raise NoConnectionLeftError("too many clients already")

    with monkeypatch.context() as patched:
        patched.setattr(fleet.store, "begin", refuse)
        assert [limit.reserve().taken for _ in range(3)] == [False] * 3

    assert limit.reserve().taken


def test_each_slot_of_a_store_that_answers_late_counts(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """They were used and given back as well: a window that took 1,000 requests was sent 1,050."""
    _slow_down(fleet, monkeypatch, ends=0.3)
    slots = []
    for _ in range(20):
        slots.append(fleet.limits[0].reserve())
        fleet.now += 1

    assert all(slot.taken for slot in slots)
    assert slots[-1].used == len(slots)


@pytest.mark.parametrize("by", [-3600.0, -30.0, 3600.0])
def test_a_store_whose_clock_is_set_makes_nobody_wait_for_it(fleet: Fleet, by: float) -> None:
    """Or another server takes over; those who had reserved waited until the old time had come again."""
    fleet.spend_the_burst()
    limit = fleet.limits[0]
    for poll in [False] * 16 + [True] * 3:
        limit.reserve(poll=poll)
    fleet.now += 2
    fleet.store_apart = by

    slots = [limit.reserve(poll=poll) for poll in (False, True) * 8]

    assert max(slot.at for slot in slots) <= limit.now() + 2


def test_a_429_from_before_the_clock_was_set_back_pauses_nobody_until_then(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not be written at once, and stopped the whole fleet for five minutes."""
    limit = fleet.limits[0]
    limit.reserve()

    def refuse(**_kind: object) -> None:
        raise NoConnectionLeftError("too many clients already")

    with monkeypatch.context() as patched:
        patched.setattr(fleet.store, "begin", refuse)
        fleet.respond(limit, limited=True, backoff=0.5)
    fleet.store_apart = -3600.0
    fleet.limits[1].reserve()

    assert limit.reserve().at <= limit.now() + 1


def test_a_request_on_its_way_while_the_clock_is_set_back_makes_nobody_wait(fleet: Fleet) -> None:
    limit = fleet.limits[0]
    slot, sent_at = limit.reserve(), limit.now()
    fleet.store_apart = -3600.0
    fleet.now += 2
    fleet.limits[0].reserve()

    limit.observe(slot, RateLimitHeaders(sent_at=sent_at, received_at=limit.now(), limit=1000.0, remaining=700))

    assert limit.reserve().at <= limit.now() + 1


@pytest.mark.parametrize("seconds", [1, 3, 20])
def test_a_store_that_restarts_costs_an_import_in_many_processes_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """Each goes on with what it used, and all are back within two seconds; so the limit holds meanwhile, too."""
    fleet = Fleet(Plan(300, 15), 12)
    fleet.spend_the_burst()
    fleet.import_in(fleet.limits, 40)
    sent_before = len(fleet.sent)

    def refuse(**_kind: object) -> None:
        raise StoreError("connection refused")

    with monkeypatch.context() as away:
        away.setattr(fleet.store, "begin", refuse)
        fleet.import_in(fleet.limits, seconds)
    fleet.import_in(fleet.limits, 30)

    assert len(fleet.sent) - sent_before >= 0.97 * (seconds + 30) * 300 / 60
    assert not exceeds(fleet.sent, fleet.plan)


def test_while_one_asks_a_store_again_that_was_away_the_others_go_on(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is gone without a word takes ten seconds to be found so."""
    limit = fleet.limits[0]
    limit.reserve()
    others: list[Slot] = []

    def find_it_away(**_kind: object) -> None:
        if fleet.now > began_at:
            others.append(pool.submit(limit.reserve).result(timeout=5))
        raise StoreError("no route to host")

    monkeypatch.setattr(fleet.store, "begin", find_it_away)
    fleet.now += 1
    began_at = fleet.now
    limit.reserve()
    fleet.now += 60
    with ThreadPoolExecutor(1) as pool:
        limit.reserve()

    assert [slot.taken for slot in others] == [True]
