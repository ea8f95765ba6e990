"""The ledger knows what was asked for and what came of it, on SQLite and on PostgreSQL."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest

from pihupulse_provider.api import Account
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.job_run import Run
from pihupulse_provider.store.ledger import JobTakenOverError, Ledger, Mark

ACCOUNT = Account("pp_key")
NOW = 1_700_000_000.0


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    url = f"sqlite:///{tmp_path}/store.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    store = Store(url, wall_clock=lambda: NOW)
    yield store
    store.dispose()


@pytest.fixture
def ledger(store):
    return Ledger(store, ACCOUNT, clock=lambda: NOW)


@pytest.fixture
def name(request):
    return f"dag/{request.node.name}/task/-1"


def mark(number, object_id=None, at=NOW):
    return Mark(bytes([number]) * 16, bytes([number + 100]) * 16, at, object_id)


def sent(*numbers):
    return [(mark(number).item, mark(number).key) for number in numbers]


def late(began_at):
    return Run(began_at, is_late=True)


def about(moment):
    return pytest.approx(moment, abs=0.5)


def test_a_job_is_new_once(ledger, name):
    assert ledger.open(name, "source").is_new
    again = ledger.open(name, "another source")
    assert (again.is_new, again.fingerprint, again.marked_at) == (False, "source", None)


def test_jobs_of_other_accounts_are_other_jobs(store, ledger, name):
    ledger.open(name)
    assert Ledger(store, Account("pp_other")).open(name).is_new


def test_a_mark_comes_back_with_its_time_and_then_its_id(ledger, name):
    job = ledger.open(name)
    assert ledger.mark(job, sent(1, 2)) == about(NOW)
    [found] = ledger.find(job, [mark(1).item])
    assert (found.object_id, found.at) == (None, about(NOW))
    ledger.confirm(job, [mark(1, "c1", NOW + 9)])
    [found] = ledger.find(job, [mark(1).item, mark(3).item])
    assert (found.object_id, found.key, found.at) == ("c1", mark(1).key, about(NOW + 9))
    assert ledger.open(name).marked_at == about(NOW)


def test_all_marks_are_given_out_however_many(ledger, name):
    job = ledger.open(name)
    items = [n.to_bytes(16, "big") for n in range(1, 1203)]
    ledger.mark(job, [(item, b"k" * 16) for item in items])
    assert [one.item for one in ledger.marks(job)] == items
    assert len(ledger.find(job, items)) == 1202


def test_an_earlier_run_may_not_mark_any_more(ledger, name):
    earlier = ledger.open(name)
    later = ledger.open(name)
    with pytest.raises(JobTakenOverError):
        ledger.mark(earlier, sent(1))
    ledger.confirm(earlier, [mark(2, "c2")])
    ledger.mark(later, sent(1))
    assert len(list(ledger.marks(later))) == 2


def test_what_an_earlier_run_did_while_the_store_was_away_is_known_all_the_same(ledger, name):
    earlier = ledger.open(name)
    later = ledger.open(name)
    with pytest.raises(JobTakenOverError):
        ledger.catch_up(earlier, [mark(1, "c1"), mark(2)], mark(2))
    assert [one.object_id for one in ledger.marks(later)] == ["c1"]


def test_a_run_that_comes_late_does_not_take_the_job_from_one_that_began_after_it(ledger, name):
    """Its store was away when it began, and is back when another try has begun."""
    ledger.open(name, run=late(NOW - 60))
    ledger.open(name, run=late(NOW - 30))
    with pytest.raises(JobTakenOverError):
        ledger.open(name, run=late(NOW - 60))
    later = ledger.open(name)
    assert not later.is_new
    with pytest.raises(JobTakenOverError):
        ledger.open(name, run=late(NOW - 1))


def test_a_run_that_comes_late_takes_the_job_from_one_that_began_a_moment_before_it(ledger, name):
    ledger.open(name, run=late(NOW - 60))
    later = ledger.open(name, run=late(NOW - 59.9))
    ledger.mark(later, sent(1))


def test_a_run_that_begins_takes_the_job_although_the_stores_clock_was_set_back(name, tmp_path):
    now = NOW
    ledger = Ledger(Store(f"sqlite:///{tmp_path}/store.db", wall_clock=lambda: now), ACCOUNT, clock=lambda: NOW)
    earlier = ledger.open(name)
    now -= 3600
    later = ledger.open(name)
    ledger.mark(later, sent(1))
    with pytest.raises(JobTakenOverError):
        ledger.mark(earlier, sent(2))


def test_a_run_that_did_not_hear_that_it_has_the_job_has_it_still(name, tmp_path):
    """Unless another run has taken it since: the answer to a commit can be lost, or the store go away after it."""
    now = NOW
    store = Store(f"sqlite:///{tmp_path}/store.db", wall_clock=lambda: now)
    ledger = Ledger(store, ACCOUNT, clock=lambda: now)
    run = Run(now)
    now += 1
    unheard = ledger.open(name, run=run)
    now += 10
    heard = ledger.open(name, run=run)
    assert heard == unheard
    assert heard.is_new
    ledger.open(name)
    with pytest.raises(JobTakenOverError):
        ledger.open(name, run=run)


@pytest.mark.parametrize("apart", [0.0, 600.0, -600.0])
def test_a_run_that_comes_late_counts_from_when_it_began_by_its_own_clock(name, tmp_path, apart):
    now = NOW
    store = Store(f"sqlite:///{tmp_path}/store.db", wall_clock=lambda: now)
    first = Ledger(store, ACCOUNT, clock=lambda: now)
    other = Ledger(store, ACCOUNT, clock=lambda: now + apart)
    job = first.open(name)
    now += 100
    with pytest.raises(JobTakenOverError):
        other.open(name, run=late(NOW - 1 + apart))
    first.mark(job, sent(1))
    other.open(name, run=late(NOW + 1 + apart))
    with pytest.raises(JobTakenOverError):
        first.mark(job, sent(2))


def test_an_id_that_is_known_stays(ledger, name):
    job = ledger.open(name)
    ledger.confirm(job, [mark(1, "c1")])
    ledger.confirm(job, [mark(1, "c2")])
    assert [one.object_id for one in ledger.marks(job)] == ["c1"]


@pytest.mark.parametrize("apart", [10.0, 600.0, -600.0, 3600.0, -3600.0])
def test_times_are_right_for_a_worker_whose_clock_is_wrong(ledger, store, name, apart):
    ledger.mark(ledger.open(name), sent(1))
    other = Ledger(store, ACCOUNT, clock=lambda: NOW + apart)
    again = other.open(name)
    assert again.marked_at == about(NOW + apart)
    assert [one.at for one in other.marks(again)] == [about(NOW + apart)]


def test_a_job_that_recorded_a_part_of_what_it_did_is_still_looked_for_from_before_it(ledger, name):
    """The next try looks no further back than to its last mark, and more may have been sent before this part was."""
    job = ledger.open(name)
    sent_later, sent_before = mark(1, at=NOW + 9)._replace(service_time=NOW + 16), mark(2, "c2", at=NOW + 5)
    ledger.catch_up(job, [sent_later], None)
    assert ledger.open(name).marked_at is None
    ledger.catch_up(ledger.open(name), [sent_before], sent_later)
    again = ledger.open(name)
    assert (again.marked_at, again.marked_service_time) == (about(NOW + 9), about(NOW + 16))


def test_a_run_that_was_taken_over_does_not_say_by_which_time_its_successor_marked(ledger, name):
    earlier = ledger.open(name)
    ledger.mark(earlier, sent(1))
    later = ledger.open(name)
    ledger.mark(later, sent(2))
    ledger.date(earlier, [mark(1)._replace(service_time=NOW + 7)])
    assert ledger.open(name).marked_service_time is None
    assert {one.item: one.service_time for one in ledger.marks(later)} == {
        mark(1).item: about(NOW + 7),
        mark(2).item: None,
    }


@pytest.mark.parametrize("apart", [-3599.0, -120.0, 120.0, 31 * 86400.0])
def test_the_services_time_stays_however_the_stores_clock_is_set(name, tmp_path, apart):
    url = f"sqlite:///{tmp_path}/store.db"
    ledger = Ledger(Store(url, wall_clock=lambda: NOW + 40), ACCOUNT, clock=lambda: NOW)
    job = ledger.open(name)
    ledger.mark(job, sent(1), lambda at: at + 7)
    ledger.mark(job, sent(2))
    ledger.date(job, [mark(1)._replace(service_time=NOW + 99), mark(2)._replace(service_time=NOW + 8)])
    ledger.confirm(job, [mark(3, "c3")._replace(service_time=NOW + 9)])
    later = Ledger(Store(url, wall_clock=lambda: NOW + 3600 + apart), ACCOUNT, clock=lambda: NOW + 3600)
    again = later.open(name)
    assert again.marked_service_time == about(NOW + 8)
    assert [one.service_time for one in later.marks(again)] == [about(NOW + 7), about(NOW + 8), about(NOW + 9)]


def test_claims_are_what_other_jobs_of_the_account_created(ledger, store, name):
    job, other = ledger.open(name), ledger.open(f"{name}/other")
    mine, theirs = f"c1-{name}", f"c2-{name}"
    ledger.confirm(job, [mark(1, mine)])
    ledger.confirm(other, [mark(1, theirs)])
    assert {one.object_id for one in ledger.claims([mine, theirs, "c3"])} == {mine, theirs}
    [claim] = ledger.claims([mine, theirs], besides=job)
    assert (claim.object_id, claim.key, claim.at) == (theirs, mark(1).key, about(NOW))
    assert Ledger(store, Account("pp_other")).claims([mine, theirs]) == []


@pytest.mark.parametrize("odd", ["c\0", "c" * 300, "c\ufffd"], ids=["NUL", "long", "no character"])
class TestAnIdThatItCanNotKeep:
    def test_what_was_marked_is_looked_up_again_from_when_it_was_sent(self, ledger, name, odd):
        job = ledger.open(name)
        ledger.mark(job, sent(1, 2))
        ledger.confirm(job, [mark(1, odd, NOW + 60), mark(2, "c2", NOW + 60)])
        found = {one.item: (one.object_id, one.at) for one in ledger.find(job, [mark(1).item, mark(2).item])}
        assert found == {mark(1).item: (None, about(NOW)), mark(2).item: ("c2", about(NOW + 60))}

    def test_what_was_not_marked_is_looked_up_whenever_it_was_sent(self, ledger, name, odd):
        """Nothing is known of that any more, only by when it was there."""
        job = ledger.open(name)
        ledger.catch_up(job, [mark(1, odd, NOW + 60)], None)
        [found] = ledger.find(job, [mark(1).item])
        assert (found.object_id, found.at) == (None, about(0))

    def test_nobody_has_claimed_it(self, ledger, name, odd):
        job = ledger.open(name)
        known = f"known in {name}"
        ledger.confirm(job, [mark(1, known)])
        assert [one.object_id for one in ledger.claims([odd, known])] == [known]


def test_two_runs_that_record_the_same_rows_at_once_do_not_wait_for_each_other(postgres_url, name):
    """As one that was taken over does beside its successor; whom PostgreSQL ends would go on without its ledger."""
    marks = [mark(number, f"c{number}") for number in range(100)]
    stores = [Store(postgres_url) for _ in range(2)]
    ledger, successors = (Ledger(store, ACCOUNT) for store in stores)
    job, successors_job = ledger.open(name), successors.open(name)
    both, failed = Barrier(2), []

    def record(write) -> None:
        try:
            for _ in range(20):
                both.wait()
                write()
        except Exception as error:
            both.abort()
            failed.append(error)

    writes = (lambda: ledger.confirm(job, marks), lambda: successors.catch_up(successors_job, marks[::-1], marks[0]))
    threads = [Thread(target=record, args=(write,)) for write in writes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for store in stores:
        store.dispose()


def test_the_source_of_a_job_can_be_set_while_nothing_is_marked(ledger, name):
    job = ledger.open(name, "source")
    ledger.adopt_source(job, "corrected")
    assert ledger.open(name).fingerprint == "corrected"


def test_hashes_say_nothing_without_the_key(store):
    one, other = Ledger(store, ACCOUNT), Ledger(store, Account("pp_other"))
    assert one.digest("candidate", "jane@example.com") == one.digest("candidate", "jane@example.com")
    assert one.digest("candidate", "jane@example.com") != other.digest("candidate", "jane@example.com")
    assert one.digest("a", "bc") != one.digest("ab", "c")


def test_hashes_stay_as_they_are_from_version_to_version(ledger):
    """What other versions recorded is found by them."""
    assert ledger.digest("candidate", "jane@example.com").hex() == "62a4a632b57fc7804c8e30ddab17bc5a"
