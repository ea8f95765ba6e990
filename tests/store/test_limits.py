"""One rate limit for all processes that share a store."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from pihupulse_provider.api import MemoryRateLimit, Plan, clock
from pihupulse_provider.api.rate_limit import PLANS, Slot
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders
from pihupulse_provider.store import reservations
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.limit_row import limits_table
from pihupulse_provider.store.limits import StoreRateLimit, shared_rate_limit

NOW = 1_700_000_000.0
LIMITED = RateLimitHeaders(sent_at=NOW, received_at=NOW, limited=True, retry_after=30.0)
with closing(sqlite3.connect(Path(__file__).parent / "made_by_1_0_0" / "store.db")) as made_by_1_0_0:
    STATE_OF_1_0_0 = json.loads(made_by_1_0_0.execute("SELECT state FROM pihupulse_limits").fetchone()[0])
RESERVE = """
import sys
from pihupulse_provider.api import Plan
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.limits import StoreRateLimit
now = 1_700_000_000.0
clock = lambda: now
limit = StoreRateLimit(Store(sys.argv[1], clock), "account", Plan(600, 10), clock=clock)
for _ in range(50):
    while not (slot := limit.reserve()).taken:
        now = slot.at
    print(slot.used)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/store.db", lambda: NOW)
    yield store
    store.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[Callable[..., StoreRateLimit]]:
    """Makes one more process's view of one account's limit; PostgreSQL has a clock of its own."""
    url = f"sqlite:///{request.getfixturevalue('tmp_path')}/store.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    stores: list[Store] = []

    def view(plan: Plan | None = None, **options: object) -> StoreRateLimit:
        stores.append(Store(url))
        return StoreRateLimit(stores[-1], request.node.name[:64], plan, **options)  # type: ignore[arg-type]

    yield view
    for store in stores:
        store.dispose()


def test_a_slot_taken_in_one_process_is_gone_for_the_other(shared: Callable[..., StoreRateLimit]) -> None:
    one, other = shared(Plan(6, 3)), shared(Plan(6, 3))

    waits = [limit.reserve().at - one.now() for limit in (one, other, one, other)]

    assert waits == pytest.approx([0, 0, 10, 20], abs=5), "seconds; a busy machine takes one or two for a reservation"


def test_threads_never_get_the_same_slot(
    shared: Callable[..., StoreRateLimit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservations, "_LATEST", 60.0)  # on a busy machine slots are given back, and come again
    views = [shared(Plan(600, 10)) for _ in range(3)]

    with ThreadPoolExecutor(6) as pool:
        slots = list(pool.map(lambda number: views[number % 3].reserve(), range(60)))

    used = [slot.used for slot in slots if slot.taken]
    assert len(set(used)) == len(used) >= 10


def test_processes_never_get_the_same_slot(tmp_path: Path) -> None:
    """They also make the store's file and table at the same moment."""
    command = [sys.executable, "-c", RESERVE, f"sqlite:///{tmp_path}/store.db"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]

    used = [int(line) for process in running for line in process.communicate(timeout=60)[0].split()]

    assert len(set(used)) == len(used) == 150


def test_what_one_learns_the_other_knows(shared: Callable[..., StoreRateLimit]) -> None:
    one, other = shared(), shared()
    slot = one.reserve()
    now = one.now()

    one.observe(slot, RateLimitHeaders(sent_at=now, received_at=now, limit=1000.0))
    other.reserve()

    assert other.plan == one.plan == Plan(1000, 1500)


def test_a_429_pauses_everyone(shared: Callable[..., StoreRateLimit]) -> None:
    one, other = shared(Plan(600, 10)), shared(Plan(600, 10))
    slot = one.reserve()
    now = one.now()

    one.observe(slot, RateLimitHeaders(sent_at=now, received_at=now, limited=True, retry_after=30.0))

    assert one.is_void(slot)
    assert other.reserve().at == pytest.approx(now + 30, abs=0.01)


def test_each_process_keeps_to_its_own_plan(store: Store) -> None:
    """A limit that was lowered in the connection counts at once, and one that was taken away no more."""
    generous, modest, free = (
        StoreRateLimit(store, "account", plan, clock=lambda: NOW) for plan in (Plan(600, 10), Plan(60, 2), None)
    )
    for limit in (generous, modest, free):
        limit.reserve()

    assert (generous.plan, modest.plan, free.plan) == (Plan(600, 10), Plan(60, 2), Plan(100, 150))


def test_accounts_do_not_share(store: Store) -> None:
    plan = Plan(60, 2)
    slots = [StoreRateLimit(store, name, plan, clock=lambda: NOW).reserve() for name in ("one", "two")]

    assert [slot.used for slot in slots] == [1, 1]


def test_answer_that_says_nothing_new_writes_nothing(store: Store) -> None:
    limit = StoreRateLimit(store, "account", Plan(600, 10), clock=lambda: NOW)
    slot = limit.reserve()
    with _statements(store) as sent:
        limit.observe(slot, RateLimitHeaders(sent_at=NOW, received_at=NOW, limit=600.0))
        limit.observe(slot, RateLimitHeaders(sent_at=NOW, received_at=NOW, limit=600.0))

    assert len([text for text in sent if text.startswith("UPDATE")]) == 1


def test_row_of_another_version_is_begun_anew(store: Store) -> None:
    limit = StoreRateLimit(store, "account", Plan(600, 10), clock=lambda: NOW)
    limit.reserve()
    with store.begin() as connection:
        connection.execute(limits_table.update().values(state='{"tokens": 7}'))

    assert limit.reserve() == Slot(NOW, taken=True, used=1)


def test_without_the_store_a_process_goes_on_with_a_share_of_the_rate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Others may do the same, so it has no burst; it says so once, and asks the store again after a while."""
    now = [NOW]
    path = tmp_path / "store.db"
    path.touch(0o600)
    path.write_bytes(b"no database" * 1000)
    limit = StoreRateLimit(Store(f"sqlite:///{path}", lambda: now[0]), "account", Plan(60, 30), clock=lambda: now[0])

    assert limit.reserve() == Slot(NOW, taken=True, used=1)
    assert limit.reserve() == Slot(NOW + 1, taken=False)
    now[0] += 32
    slot = limit.reserve()
    assert slot.taken
    assert not limit.reserve().taken
    assert [record.levelname for record in caplog.records] == ["WARNING"]

    limit.observe(slot, replace(LIMITED, received_at=now[0]))
    assert limit.is_void(slot)

    path.unlink()
    now[0] += 65
    assert limit.reserve().taken
    assert limit.plan == Plan(60, 30)


def test_clock_of_the_database_counts(postgres_url: str) -> None:
    """This machine's clock is an hour behind; while the store is away, that must not make a wait of an hour."""
    store = Store(postgres_url)
    limit = StoreRateLimit(store, "clock", Plan(600, 10), clock=lambda: NOW)

    slot = limit.reserve()

    assert slot.at == pytest.approx(limit.now(), abs=1)
    assert abs(limit.now() - NOW) > 3600
    with store.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE pihupulse_limits RENAME TO away")
    assert limit.reserve().at == pytest.approx(limit.now(), abs=1)
    with store.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO pihupulse_limits")
    store.dispose()


def test_process_has_one_view_of_an_account(store: Store) -> None:
    assert shared_rate_limit(store, "account") is shared_rate_limit(store, "account")
    assert shared_rate_limit(store, "account") is not shared_rate_limit(store, "other")
    assert shared_rate_limit(store, "account", Plan(60, 2)).plan == Plan(60, 2), "the connection was edited"
    assert not isinstance(shared_rate_limit(store, "account"), MemoryRateLimit)


@contextmanager
def _statements(store: Store) -> Iterator[list[str]]:
    """Collect the SQL that a store sends meanwhile."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    sa.event.listen(store._engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(store._engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "change", [{"paused_until": 1e10}, {"full_at": 1e10}, {"window_end": 1e10, "window_used": 999}]
)
def test_stored_state_of_a_far_future_stops_nobody(store: Store, change: dict[str, float]) -> None:
    """Across restarts: one bad header that an earlier process stored held the account for 263 years."""
    limit = StoreRateLimit(store, "account", Plan(600, 10))
    limit.reserve()
    with store.begin() as connection:
        state = json.loads(connection.execute(sa.select(limits_table.c.state)).scalar_one())
        connection.execute(limits_table.update().values(state=json.dumps({**state, **change})))

    after_restart = StoreRateLimit(store, "account", Plan(600, 10))

    assert after_restart.reserve().at <= after_restart.now() + 61


def test_state_of_1_0_0_is_gone_on_with(store: Store) -> None:
    """It runs beside this version in a rolling deploy: what it has paused or used up stays so."""
    limit = StoreRateLimit(store, "account", clock=lambda: NOW)
    limit.reserve()
    paused = {"told": [600, 10], "paused_until": NOW + 20, "full_at": NOW + 20.5, "strikes": 2, "pauses": 7}
    _write_as_1_0_0(store, **paused)

    slot = limit.reserve()

    assert (slot.at, slot.voided, limit.plan) == (NOW + 20, 7, Plan(600, 10))
    assert limit._known.consecutive_429s == 2


def test_state_is_written_with_exactly_the_names_of_1_0_0(store: Store) -> None:
    """With one more or less it would begin anew, this version after it, and so on: nobody would keep the limit."""
    limit = StoreRateLimit(store, "account", clock=lambda: NOW)
    slot = limit.reserve()
    limit.observe(slot, replace(LIMITED, limit=600.0))

    with store.read() as connection:
        written = json.loads(connection.execute(sa.select(limits_table.c.state)).scalar_one())
    assert written.keys() == STATE_OF_1_0_0.keys()
    assert {name: written[name] for name in ("told", "strikes", "pauses", "crowding")} == {
        "told": [600.0, 600.0],
        "strikes": 1,
        "pauses": 1,
        "crowding": 1.2,
    }


def test_slots_taken_by_1_0_0_are_gone(store: Store) -> None:
    plan = Plan(600, 10)
    limit = StoreRateLimit(store, "account", plan, clock=lambda: NOW)
    limit.reserve()
    _write_as_1_0_0(store, told=[600, 10], full_at=NOW + 30 * plan.interval, worked_at=NOW + 2)

    assert limit.reserve().at == pytest.approx(NOW + (30 - plan.spendable + 1) * plan.interval)


def _write_as_1_0_0(store: Store, **values: object) -> None:
    """Store a state as it does: it knows of no column but the state's."""
    assert values.keys() <= STATE_OF_1_0_0.keys()
    with store.begin() as connection:
        connection.execute(limits_table.update().values(state=json.dumps({**STATE_OF_1_0_0, **values})))


def test_a_plan_that_slows_all_workers_down_is_warned_of_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    one, modest = (StoreRateLimit(store, "account", plan, clock=lambda: NOW) for plan in (None, PLANS["starter"]))
    one.observe(one.reserve(), RateLimitHeaders(sent_at=NOW, received_at=NOW, limit=1000.0))
    for _ in range(3):
        modest.reserve()

    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == list(modest.disagreements.found.values())
    assert "starter with 100 requests a minute here, and PihuPulse allows 1000" in caplog.text


def test_a_rate_that_somebody_chose_is_not(store: Store) -> None:
    """It leaves the rest to other programs that use the account."""
    modest = StoreRateLimit(store, "account", Plan(50, 50), clock=lambda: NOW)
    modest.observe(modest.reserve(), RateLimitHeaders(sent_at=NOW, received_at=NOW, limit=1000.0))
    modest.reserve()

    assert not modest.disagreements.found


@pytest.mark.parametrize(("off", "words"), [(600.0, "600 seconds ahead of"), (-600.0, "600 seconds behind")])
def test_a_clock_that_differs_from_the_stores_is_warned_of(postgres_url: str, off: float, words: str) -> None:
    store = Store(postgres_url)
    limit = StoreRateLimit(store, f"clock{off}", clock=lambda: clock.now() + off)
    slot = limit.reserve()
    limit.observe(slot, RateLimitHeaders(sent_at=limit.now(), received_at=limit.now(), served_at=limit.now()))
    store.dispose()

    assert words in limit.disagreements.found["the store's"]
    assert words.split(" the store", maxsplit=1)[0] in limit.disagreements.found["PihuPulse's"]


def test_a_response_that_took_long_is_no_wrong_clock(store: Store) -> None:
    limit = StoreRateLimit(store, "account", clock=lambda: NOW)
    limit.observe(limit.reserve(), RateLimitHeaders(sent_at=NOW - 50, received_at=NOW, served_at=NOW - 25))

    assert not limit.disagreements.found
