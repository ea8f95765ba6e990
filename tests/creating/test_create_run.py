"""Many rows are created, each once, and each says what came of it."""

from __future__ import annotations

import asyncio
from itertools import count
from types import MappingProxyType

import pytest

from pihupulse_provider.api import (
    ServerError,
    UnauthorizedError,
    UnconfirmedCreateError,
)
from pihupulse_provider.creating.errors import ExistingRowsError, RejectedRowsError, reasons_of
from tests.creating.importing import Import, assert_each_once, emails, people, run
from tests.creating.world import World


@pytest.mark.parametrize(("order", "after_commit", "most"), [("oldest-first", False, 60), ("newest-first", True, 12)])
def test_a_look_up_reads_a_page_or_two_for_all_that_was_lost_lately(store_url, order, after_commit, most):
    """The first one reads all 11 pages since the first was lost, and decides what was sent minutes ago."""
    world = World(store_url, order=order, plan="starter", candidates=100, start_seconds=1e9)
    world.sandbox.fail("drop", method="POST", probability=0.05, after_commit=after_commit)
    run(world, people(1000))
    assert_each_once(world, 1000)
    assert world.count("GET /candidates") <= most


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
        assert (again.created, world.count("POST /candidates")) == (40, 40)

    def test_rows_in_another_order_are_the_same_source(self, world):
        run(world, people(40))
        again = run(world, people(40)[::-1], first_try=False)
        assert (again.created, world.count("POST /candidates")) == (40, 40)

    def test_an_empty_source_is_no_error(self, world):
        assert run(world, []).rows == 0

    def test_the_callers_event_loop_stays_the_current_one(self, world):
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            run(world, people(1))
            assert asyncio.get_event_loop() is loop
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    def test_the_limit_is_kept(self, store_url):
        world = World(store_url, plan="professional")
        run(world, people(600))
        assert world.sandbox.count(None, 429) == 0


class TestExisting:
    def test_skip_leaves_out_what_is_there(self, world):
        run(world, people(30))
        job = Import(world, people(50), ledger=world.new_ledger(), on_existing="skip")
        summary = job.run()
        assert_each_once(world, 50)
        assert (summary.existing, summary.created) == (30, 20)
        assert summary.requests == 4 + 3 + 20
        assert [row["status"] for row in job.results] == ["existing"] * 30 + ["created"] * 20

    def test_upper_and_lower_case_are_one_address(self, world):
        run(world, people(1))
        loud = [{"name": "Person", "email": "PERSON.0@EXAMPLE.ORG"}]
        assert run(world, loud, ledger=world.new_ledger(), on_existing="skip").existing == 1

    def test_fail_creates_nothing_and_names_the_rows(self, world):
        run(world, people(2))
        job = Import(world, people(5), ledger=world.new_ledger(), on_existing="fail")
        with pytest.raises(ExistingRowsError, match="rows 1, 2") as caught:
            job.run()
        assert world.count("POST /candidates") == 2
        assert "example" not in str(caught.value)
        assert job.rejects[0] == {"row": 1, "field": "email", "reason": "exists already"}

    @pytest.mark.parametrize("burst", [1, 300])
    def test_nobody_is_missed_who_moves_to_another_page_while_the_list_is_read(self, world, burst):
        """At each page somebody comes and somebody goes, and once many come at once."""
        run(world, people(200))
        others = [one["id"] for one in world.sandbox.candidates if not one["email"].endswith(".org")]

        def change(chance):
            read = world.count("GET /candidates")
            if world.count("POST /candidates") == 200:
                world.sandbox.insert_candidates(burst if read == 3 else 1)
                world.sandbox.delete(others.pop(chance.randrange(len(others))))

        world.change = change
        summary = run(world, people(250), ledger=world.new_ledger(), on_existing="skip")
        assert (summary.existing, summary.created) == (200, 50)
        assert_each_once(world, 250)

    def test_create_creates_again(self, world):
        run(world, people(3))
        run(world, people(3), ledger=world.new_ledger())
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
    def test_as_many_as_are_allowed_are_left_out(self, world, allowed, caplog):
        """The log says which and why, also where nobody keeps the whole list."""
        summary = run(world, [*people(5), self.BAD], max_rejects=allowed)
        assert "Rejected, as max_rejects allows: row 6: name is missing; row 6: email is not an e-mail" in caplog.text
        assert (summary.created, summary.rejected) == (5, 1)

    def test_a_reason_is_said_once_with_the_rows_that_have_it(self, world):
        """Also if it is the service that refuses them."""
        world.sandbox.fail("error", method="POST", status=400)
        nameless = [{"email": one["email"]} for one in people(12)]
        with pytest.raises(RejectedRowsError, match="16 of 16 rows were rejected") as caught:
            run(world, [self.BAD, *nameless, *people(3)], max_rejects=16)
        said = str(caught.value)
        assert "13 rows (1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 3 more): name is missing; row 1: email is not" in said
        assert "; 3 rows (14, 15, 16): POST /candidates" in said

    def test_ten_reasons_are_said_and_the_others_counted(self):
        rejects = [{"row": n, "field": None, "reason": f"has {n} fields."} for n in range(2, 15)]
        assert reasons_of(rejects).endswith("row 11: has 11 fields; 3 problems for other reasons")

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

    def test_what_is_adopted_is_known_to_other_jobs_at_once(self, world):
        """One that lost the same person's response looks, too, while this one still looks for its next row."""
        job, turns = Import(world, people(2)), count()

        async def sleep(seconds):
            turn = next(turns)
            if turn == 0:
                world.sandbox.delete(world.sandbox.candidates[-1]["id"])
            elif turn == 1:
                world.sandbox.fail_next("drop", method="POST")
                await asyncio.to_thread(run, world, people(1), job="dag/other/import/-1")
            world.sandbox.advance(seconds)

        job.create.sleep = sleep
        world.sandbox.fail_next("drop", times=2, method="POST", after_commit=True)
        job.run()
        assert sorted(emails(world).values()) == [1, 2]

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
