"""Many rows are created, each once, whatever becomes of answers, workers and ledgers."""

from __future__ import annotations

import json
from collections import Counter
from types import MappingProxyType

import pytest

from pihupulse_provider.api import (
    DuplicateCreateError,
    NewCandidate,
    ServerError,
    UnauthorizedError,
    UnconfirmedCreateError,
)
from pihupulse_provider.bulk.create import BulkCreate
from pihupulse_provider.bulk.errors import ExistingRowsError, RejectedRowsError, SourceChangedError
from pihupulse_provider.bulk.field_map import FieldMap
from pihupulse_provider.bulk.rows import CandidateRows, ScreeningRows
from pihupulse_provider.bulk.source import read_records
from pihupulse_provider.bulk.terms import Terms
from tests.bulk.world import World

JOB = "dag/run/import/-1"
NO_STORE = "sqlite:////proc/nowhere/store.db"


class KilledError(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.fixture
def store_url(tmp_path):
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture(params=["oldest-first", "newest-first"])
def world(store_url, request):
    return World(store_url, order=request.param, candidates=250, start_seconds=1e9)


def people(count):
    return [{"name": f"Person {n}", "email": f"Person.{n}@example.org"} for n in range(count)]


def dead(*_):
    raise KilledError


class Import:
    def __init__(self, world, rows, *, ledger=None, kind=None, first_try=True, since=None, kill_after=None, **terms):
        self.results, self.rejects, self.metrics = [], [], Counter()
        self.kill_after = kill_after
        self.world = world
        terms = {"on_existing": "create", **terms}
        self.create = BulkCreate(
            kind or CandidateRows(FieldMap()),
            Terms(JOB, first_try=first_try, since=since, **terms),
            ledger or world.ledger(),
            self.connect,
            write_results=self.results.extend,
            write_rejects=lambda rows: setattr(self, "rejects", list(rows)),
            count=self.count,
            sleep=world.async_sleep,
        )
        self.rows = rows

    def connect(self):
        return self.world.async_client()

    def count(self, name, by):
        self.metrics[name] += by
        if self.kill_after is not None and self.metrics["created"] >= self.kill_after:
            self.create.ledger.confirm = self.create.ledger.dispatch = dead
            raise KilledError

    def run(self):
        return self.create.run(read_records(self.rows))


def run(world, rows, **options):
    return Import(world, rows, **options).run()


def emails(world):
    return Counter(one["email"].casefold() for one in world.sandbox.candidates if one["email"].endswith(".org"))


def assert_each_once(world, count):
    assert emails(world) == Counter(row["email"].casefold() for row in people(count))


class TestCleanRun:
    def test_costs_one_request_a_row(self, world):
        summary = run(world, people(120))
        assert_each_once(world, 120)
        assert (summary.rows, summary.created, summary.requests) == (120, 120, 120)

    def test_results_name_the_id_of_each_row(self, world):
        job = Import(world, people(40))
        job.run()
        by_email = {one["email"]: one["id"] for one in world.sandbox.candidates}
        assert job.results == [
            {"row": n, "status": "created", "id": by_email[row["email"]]} for n, row in enumerate(people(40), 1)
        ]

    def test_a_second_run_of_the_same_job_does_nothing_and_says_so(self, world):
        run(world, people(40))
        again = run(world, people(40), first_try=False)
        assert (again.created, again.requests) == (40, 0)

    def test_rows_in_another_order_are_the_same_source(self, world):
        run(world, people(40))
        again = run(world, people(40)[::-1], first_try=False)
        assert (again.created, again.requests) == (40, 0)

    def test_an_empty_source_is_no_error(self, world):
        assert run(world, []).rows == 0

    def test_the_limit_is_kept(self, store_url):
        world = World(store_url, plan="professional")
        run(world, people(600))
        assert world.sandbox.count(None, 429) == 0


class TestExisting:
    def test_skip_leaves_out_what_is_there(self, world):
        run(world, people(30))
        job = Import(world, people(50), ledger=world.ledger("sqlite://"), on_existing="skip")
        summary = job.run()
        assert_each_once(world, 50)
        assert (summary.existing, summary.created) == (30, 20)
        assert summary.requests == 3 + 3 + 20
        assert [row["status"] for row in job.results] == ["existing"] * 30 + ["created"] * 20

    def test_upper_and_lower_case_are_one_address(self, world):
        run(world, people(1))
        loud = [{"name": "Person", "email": "PERSON.0@EXAMPLE.ORG"}]
        assert run(world, loud, ledger=world.ledger("sqlite://"), on_existing="skip").existing == 1

    def test_fail_creates_nothing_and_names_the_rows(self, world):
        run(world, people(2))
        job = Import(world, people(5), ledger=world.ledger("sqlite://"), on_existing="fail")
        with pytest.raises(ExistingRowsError, match="rows 1, 2") as caught:
            job.run()
        assert world.count("POST /candidates") == 2
        assert "example" not in str(caught.value)
        assert job.rejects[0] == {"row": 1, "field": "email", "reason": "exists already"}

    def test_create_creates_again(self, world):
        run(world, people(3))
        run(world, people(3), ledger=world.ledger("sqlite://"))
        assert set(emails(world).values()) == {2}


class TestRepeatedRows:
    ROWS = (*people(2), {"name": "Somebody", "email": "person.0@example.org"}, people(1)[0])

    def test_skip_creates_the_first(self, world):
        job = Import(world, self.ROWS)
        assert job.run().duplicates == 2
        assert [row["status"] for row in job.results] == ["created", "created", "duplicate", "duplicate"]
        assert job.results[2]["id"] == job.results[0]["id"]

    def test_create_creates_them_all(self, world):
        assert run(world, self.ROWS, on_repeated="create").created == 4

    def test_fail_creates_nothing(self, world):
        with pytest.raises(ExistingRowsError, match="rows 3, 4"):
            run(world, self.ROWS, on_repeated="fail")
        assert world.count(None) == 0

    def test_another_order_on_a_retry_doubles_nothing(self, world):
        run(world, self.ROWS)
        run(world, self.ROWS[::-1], first_try=False)
        assert set(emails(world).values()) == {1}


class TestRejects:
    BAD = MappingProxyType({"name": "", "email": "no address", "phone": "12"})

    def test_too_many_stop_it_before_a_request_is_spent(self, world):
        job = Import(world, [*people(5), self.BAD])
        with pytest.raises(RejectedRowsError, match="1 of 6 rows") as caught:
            job.run()
        assert world.count(None) == 0
        assert "no address" not in str(caught.value)
        assert [(row["row"], row["field"]) for row in job.rejects] == [(6, "name"), (6, "email"), (6, "phone")]

    @pytest.mark.parametrize("allowed", [1, 0.2])
    def test_as_many_as_are_allowed_are_left_out(self, world, allowed):
        summary = run(world, [*people(5), self.BAD], max_rejects=allowed)
        assert (summary.created, summary.rejected) == (5, 1)

    def test_a_corrected_source_is_welcome_while_nothing_is_created(self, world):
        with pytest.raises(RejectedRowsError):
            run(world, [*people(5), self.BAD])
        assert run(world, people(6), first_try=False).created == 6

    def test_a_row_that_the_service_refuses_is_a_reject(self, world):
        world.sandbox.fail_next("error", method="POST", status=400)
        job = Import(world, people(5), max_rejects=1)
        assert (job.run().created, job.rejects[0]["field"]) == (4, None)

    def test_the_services_refusals_count_towards_the_limit(self, world):
        world.sandbox.fail("error", method="POST", status=400)
        with pytest.raises(RejectedRowsError):
            run(world, people(200), max_rejects=3)
        assert world.count("POST /candidates") < 50


class TestLostAnswers:
    @pytest.mark.parametrize("kind", ["drop", "html", "truncated"])
    def test_after_the_commit_are_adopted(self, world, kind):
        world.sandbox.fail(kind, method="POST", probability=0.1, after_commit=True)
        assert run(world, people(200)).created == 200
        assert_each_once(world, 200)
        assert world.count("POST /candidates") == 200

    @pytest.mark.parametrize("kind", ["drop", "error"])
    def test_before_the_commit_are_sent_again(self, world, kind):
        world.sandbox.fail(kind, method="POST", probability=0.2)
        assert run(world, people(200)).created == 200
        assert_each_once(world, 200)

    def test_both_with_repeated_rows(self, world):
        world.sandbox.fail("drop", method="POST", probability=0.1)
        world.sandbox.fail("drop", method="POST", probability=0.1, after_commit=True)
        run(world, people(60) * 3, on_repeated="create")
        assert set(emails(world).values()) == {3}

    def test_an_outage_ends_it_and_a_retry_finishes(self, world):
        world.sandbox.fail("error", method="POST", status=503)
        with pytest.raises(ServerError):
            run(world, people(200))
        world.sandbox.heal()
        assert run(world, people(200), first_try=False).created == 200
        assert_each_once(world, 200)

    def test_a_row_that_never_gets_an_answer_is_named_and_the_others_are_created(self, world):
        world.sandbox.fail("error", method="POST", times=12)
        with pytest.raises(UnconfirmedCreateError, match="rows 1, 2"):
            run(world, people(2))

    def test_a_revoked_key_ends_it_at_once(self, world):
        world.sandbox.fail("error", method="POST", status=401)
        with pytest.raises(UnauthorizedError):
            run(world, people(500))
        assert world.count("POST /candidates") <= 32


class TestKilled:
    @pytest.mark.parametrize("kill_after", [1, 17, 40, 99])
    @pytest.mark.parametrize("on_existing", ["create", "skip"])
    def test_a_retry_continues(self, world, kill_after, on_existing):
        with pytest.raises(KilledError):
            run(world, people(100), kill_after=kill_after, on_existing=on_existing)
        world.sandbox.advance(10)
        assert run(world, people(100), first_try=False, on_existing=on_existing).created == 100
        assert_each_once(world, 100)

    @pytest.mark.parametrize("on_existing", ["create", "skip"])
    def test_a_retry_without_its_ledger_doubles_nothing(self, world, on_existing):
        since = world.moment()
        with pytest.raises(KilledError):
            run(world, people(100), kill_after=60)
        fresh = world.ledger("sqlite://")
        summary = run(world, people(100), first_try=False, since=since, ledger=fresh, on_existing=on_existing)
        assert summary.created == 100
        assert_each_once(world, 100)

    def test_a_changed_source_is_refused(self, world):
        with pytest.raises(KilledError):
            run(world, people(100), kill_after=60)
        with pytest.raises(SourceChangedError, match="new DAG run"):
            run(world, people(101), first_try=False)

    def test_a_stranger_with_the_same_address_is_reported(self, world):
        with pytest.raises(KilledError):
            run(world, people(3), kill_after=3)
        for row in people(3):
            world.client.create_candidate(NewCandidate(**row))
        with pytest.raises(DuplicateCreateError):
            run(world, people(3), first_try=False)


class TestStoreAway:
    def test_from_the_start(self, world, caplog):
        since = world.moment()
        with pytest.raises(KilledError):
            run(world, people(100), ledger=world.ledger(NO_STORE), kill_after=50)
        assert "[pihupulse] store_url" in caplog.text
        run(world, people(100), ledger=world.ledger(NO_STORE), first_try=False, since=since)
        assert_each_once(world, 100)

    @pytest.mark.parametrize("back_after", [None, 90])
    def test_in_the_middle(self, world, tmp_path, back_after):
        store = tmp_path / "store.db"
        away = tmp_path / "away"

        class Outage(Import):
            def count(self, name, by):
                super().count(name, by)
                if self.metrics["created"] == 50:
                    take_away(store, away)
                if self.metrics["created"] == back_after:
                    bring_back(store, away)
                    world.sandbox.advance(20)

        with pytest.raises(KilledError):
            Outage(world, people(300), kill_after=200).run()
        if back_after is None:
            bring_back(store, away)
        assert run(world, people(300), first_try=False).created == 300
        assert_each_once(world, 300)


def take_away(store, away):
    """Put a folder where the database was, so that nobody can open it."""
    store.rename(away)
    store.mkdir()


def bring_back(store, away):
    store.rmdir()
    away.rename(store)


class TestScreenings:
    @pytest.fixture
    def ids(self, world):
        return [{"candidate_id": f"c{12345 + n}"} for n in range(200)]

    @staticmethod
    def kind():
        return ScreeningRows("t54321", "Engineer", send_invitation=True)

    def invited(self, world):
        return Counter(one["candidate_id"] for one in world.sandbox.invitations)

    def test_one_screening_and_one_invitation_each(self, world, ids):
        summary = run(world, [*ids, ids[0]], kind=self.kind())
        assert (summary.created, summary.duplicates, summary.requests) == (200, 1, 200)
        assert self.invited(world) == Counter(row["candidate_id"] for row in ids)

    def test_lost_answers_and_a_kill_invite_nobody_twice(self, world, ids):
        world.sandbox.insert_screenings([row["candidate_id"] for row in ids[:50]], "t54322")
        world.sandbox.fail("drop", method="POST", probability=0.1, after_commit=True)
        with pytest.raises(KilledError):
            run(world, ids, kind=self.kind(), kill_after=80)
        run(world, ids, kind=self.kind(), first_try=False)
        assert self.invited(world) == Counter(row["candidate_id"] for row in ids)

    def test_a_retry_without_its_ledger_invites_nobody_twice(self, world, ids):
        since = world.moment()
        with pytest.raises(KilledError):
            run(world, ids, kind=self.kind(), kill_after=80)
        run(world, ids, kind=self.kind(), first_try=False, since=since, ledger=world.ledger("sqlite://"))
        assert self.invited(world) == Counter(row["candidate_id"] for row in ids)

    def test_a_few_lost_answers_do_not_cost_the_whole_list(self, store_url):
        world = World(store_url, candidates=6000, start_seconds=1e9)
        everybody = list(world.sandbox.account.candidates)
        world.sandbox.insert_screenings(everybody[1000:])
        world.sandbox.fail_next("drop", times=3, method="POST", after_commit=True)
        run(world, [{"candidate_id": one} for one in everybody[:40]], kind=self.kind())
        assert self.invited(world) == Counter(everybody[:40])
        assert world.count("GET /candidates/:id") == 3
        assert world.count("GET /screenings") <= 4

    def test_a_candidate_that_is_not_there_is_a_reject(self, world):
        rows = [{"candidate_id": "c12345"}, {"candidate_id": "c1"}, {"candidate_id": None}]
        job = Import(world, rows, kind=self.kind(), max_rejects=2)
        assert job.run().created == 1
        assert {row["row"] for row in job.rejects} == {2, 3}


def test_no_personal_data_reaches_the_log_or_the_ledger(world, tmp_path, caplog):
    caplog.set_level("DEBUG")
    world.sandbox.fail("drop", method="POST", probability=0.2)
    job = Import(world, [*people(50), {"name": "Person X", "email": "person"}], max_rejects=5, on_existing="skip")
    job.run()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("latin-1")
    for text in (caplog.text, stored, json.dumps(job.rejects), json.dumps(job.results)):
        assert "person" not in text.casefold().replace("a person", "")
