"""What the ledger has of old jobs can be deleted, at any moment and beside whoever is at work."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from pihupulse_provider.api import Account
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.ledger import JobTakenOverError, Ledger, Mark, creates_table
from pihupulse_provider.store.retention import Forgotten, forget_jobs, forgotten_until
from tests.api.drivers import Clock

ACCOUNT = Account("pp_key")
NOW = 1_700_000_000.0
DAY = 86400.0
ITEMS = [(bytes([number]) * 16, b"k" * 16) for number in range(3)]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def store(tmp_path, clock):
    store = Store(f"sqlite:///{tmp_path}/store.db", wall_clock=clock)
    yield store
    store.dispose()


@pytest.fixture
def ledger(store, clock):
    return Ledger(store, ACCOUNT, clock)


def sent(ledger, name):
    job = ledger.open(name)
    ledger.mark(job, ITEMS)
    ledger.confirm(job, [Mark(*ITEMS[0], ledger.now(), f"c of {name}")])
    return job


def creates(store):
    with store.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(creates_table)).scalar_one()


def test_jobs_that_sent_nothing_since_are_gone_with_their_creates(store, ledger, clock):
    sent(ledger, "old")
    ledger.open("old, and sent nothing")
    clock.now += 10 * DAY
    young = sent(ledger, "young")
    assert forget_jobs(store, NOW + DAY) == Forgotten(jobs=2, creates=3)
    assert (ledger.open("old").is_new, ledger.open("young").is_new) == (True, False)
    assert len(list(ledger.marks(young))) == 3
    assert [one.object_id for one in ledger.claims(["c of old", "c of young"])] == ["c of young"]


def test_a_job_that_went_on_lately_keeps_all_that_it_ever_created(store, ledger, clock):
    job = sent(ledger, "import")
    clock.now += 10 * DAY
    ledger.mark(ledger.open("import"), [(b"n" * 16, b"k" * 16)])
    assert forget_jobs(store, NOW + DAY) == Forgotten(0, 0)
    assert len(list(ledger.marks(job))) == 4


def test_of_a_large_job_nothing_is_left(store, ledger, clock):
    ledger.mark(ledger.open("large"), [(number.to_bytes(16), b"k" * 16) for number in range(5001)])
    clock.now += 10 * DAY
    assert forget_jobs(store, NOW + DAY).creates == 5001
    assert creates(store) == 0


def test_up_to_when_jobs_may_be_gone_moves_forward_only(store, ledger):
    for before in (NOW - 9 * DAY, NOW - DAY, NOW - 5 * DAY):
        forget_jobs(store, before)
    assert forgotten_until(ledger) == NOW - DAY


def test_on_postgresql_too(postgres_url):
    store = Store(postgres_url)
    ledger = Ledger(store, ACCOUNT)
    sent(ledger, "forgotten")
    with store.read() as connection:
        now = store.now(connection)
    assert forget_jobs(store, now + 1).creates >= 3
    assert ledger.open("forgotten").is_new
    assert forgotten_until(ledger) == pytest.approx(ledger.now() + 1, abs=5)
    store.dispose()


def test_a_run_that_is_at_work_on_a_forgotten_job_stops(store, ledger, clock):
    """It goes by what it read of its earlier tries, and its retry would not find that any more."""
    job = sent(ledger, "old")
    clock.now += 10 * DAY
    forget_jobs(store, NOW + DAY)
    with pytest.raises(JobTakenOverError):
        ledger.mark(job, ITEMS)


def test_what_it_records_all_the_same_is_no_other_jobs(store, ledger, clock):
    job = sent(ledger, "old")
    clock.now += 10 * DAY
    assert forget_jobs(store, NOW + DAY).creates == 3
    next_job = ledger.open("next")
    ledger.confirm(job, [Mark(*ITEMS[0], ledger.now(), "c of old")])
    assert list(ledger.marks(next_job)) == []
    assert forget_jobs(store, NOW + DAY) == Forgotten(jobs=1, creates=1)


@pytest.mark.parametrize("at", ["DELETE FROM pihupulse_creates", "DELETE FROM pihupulse_jobs"])
def test_after_an_interruption_nobody_meets_a_job_that_is_half_there(store, ledger, clock, at):
    sent(ledger, "old")
    clock.now += 10 * DAY

    def interrupt(_connection, _cursor, statement, *_rest):
        if at in statement:
            raise KeyboardInterrupt

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            forget_jobs(store, NOW + DAY)
    finally:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", interrupt)
    again = sent(ledger, "old")
    assert forget_jobs(store, NOW + DAY).jobs == 1
    assert (creates(store), len(list(ledger.marks(again)))) == (3, 3)


def test_up_to_when_is_known_by_the_clock_of_whoever_asks(store, ledger, clock):
    assert forgotten_until(ledger) is None
    forget_jobs(store, NOW - DAY)
    forget_jobs(store, NOW - 9 * DAY)
    assert forgotten_until(ledger) == NOW - DAY
    ahead = Ledger(store, ACCOUNT, lambda: clock.now + 600)
    assert forgotten_until(ahead) == NOW - DAY + 600
