"""Many screenings: one and one invitation for each candidate."""

from __future__ import annotations

from collections import Counter

import pytest

from pihupulse_provider.creating import recovery
from pihupulse_provider.creating.errors import ExistingRowsError, RejectedRowsError
from pihupulse_provider.creating.resources import ScreeningResource
from tests.creating.importing import Import, KilledError, run
from tests.creating.world import START, World


class TestScreenings:
    @pytest.fixture
    def ids(self, world):
        return [{"candidate_id": f"c{12345 + n}"} for n in range(200)]

    @staticmethod
    def resource():
        return ScreeningResource("t54321", "Engineer", send_invitation=True, failed_statuses=["failed", "expired"])

    def invited(self, world):
        return Counter(one["candidate_id"] for one in world.sandbox.invitations)

    def test_one_screening_and_one_invitation_each(self, world, ids):
        summary = run(world, [*ids, ids[0]], resource=self.resource())
        assert (summary.created, summary.duplicates, summary.requests) == (200, 1, 200)
        assert self.invited(world) == Counter(row["candidate_id"] for row in ids)

    def test_an_id_that_is_no_text_is_a_reject_of_its_row(self, world):
        bad = [{"candidate_id": one} for one in (["c12345"], True, "\ud83d", 1.5, None)]
        create = Import(world, [*bad, {"candidate_id": " c12345\u200b"}], resource=self.resource(), max_rejects=5)
        assert (create.run().created, [one["row"] for one in create.rejects]) == (1, [1, 2, 3, 4, 5])
        assert self.invited(world) == {"c12345": 1}

    def test_lost_answers_and_a_kill_invite_nobody_twice(self, world, ids):
        world.sandbox.insert_screenings([row["candidate_id"] for row in ids[:50]], "t54322")
        world.sandbox.fail("drop", method="POST", probability=0.1, after_commit=True)
        with pytest.raises(KilledError):
            run(world, ids, resource=self.resource(), kill_after=80)
        run(world, ids, resource=self.resource(), first_try=False)
        assert self.invited(world) == Counter(row["candidate_id"] for row in ids)

    @pytest.mark.parametrize("on_existing", ["create", "skip"])
    def test_a_retry_does_not_take_old_screenings_that_failed_for_its_own(self, world, ids, on_existing):
        """Nobody knows when those that were never started came to be; whoever got one would never be invited."""
        for one in world.sandbox.insert_screenings([row["candidate_id"] for row in ids]):
            world.sandbox.put(one, "expired")
        with pytest.raises(KilledError):
            run(world, ids, resource=self.resource(), kill_after=80, on_existing=on_existing)
        summary = run(world, ids, resource=self.resource(), first_try=False, on_existing=on_existing)
        assert summary.created == 200
        assert self.invited(world) == Counter(row["candidate_id"] for row in ids)

    def test_a_retry_without_its_ledger_invites_nobody_twice(self, world, ids):
        since = world.moment()
        with pytest.raises(KilledError):
            run(world, ids, resource=self.resource(), kill_after=80)
        run(world, ids, resource=self.resource(), first_try=False, since=since, ledger=world.new_ledger())
        assert self.invited(world) == Counter(row["candidate_id"] for row in ids)

    def test_a_few_lost_answers_do_not_cost_the_whole_list(self, store_url):
        world = World(store_url, candidates=6000, start_seconds=1e9)
        everybody = list(world.sandbox.account.candidates)
        world.sandbox.insert_screenings(everybody[1000:])
        world.sandbox.fail_next("drop", times=3, method="POST", after_commit=True)
        run(world, [{"candidate_id": one} for one in everybody[:40]], resource=self.resource())
        assert self.invited(world) == Counter(everybody[:40])
        assert world.count("GET /candidates/:id") == 3
        assert world.count("GET /screenings") <= 4

    def test_more_lost_answers_than_are_kept_in_memory_invite_nobody_twice(self, world, ids, monkeypatch):
        """Then the list of everybody's screenings is read, which shows those by other templates, too."""
        monkeypatch.setattr(recovery, "_FEW", 3)
        world.sandbox.insert_screenings([ids[0]["candidate_id"]], "t54322")
        world.sandbox.fail_next("drop", times=5, method="POST", after_commit=True)
        assert run(world, ids[:8], resource=self.resource()).created == 8
        assert self.invited(world) == Counter(row["candidate_id"] for row in ids[:8])

    def test_a_second_job_invites_nobody_again(self, world, ids):
        run(world, ids[:150], resource=self.resource(), on_existing="skip")
        job = Import(world, ids, resource=self.resource(), on_existing="skip", job="dag/second run/task/-1")
        summary = job.run()
        assert (summary.existing, summary.created) == (150, 50)
        assert [row["status"] for row in job.results] == ["existing"] * 150 + ["created"] * 50
        assert self.invited(world) == Counter(row["candidate_id"] for row in ids)

    def test_who_failed_is_invited_again(self, world, ids):
        for one in world.sandbox.insert_screenings([row["candidate_id"] for row in ids[:5]])[:3]:
            world.sandbox.put(one, "Expired")
        summary = run(world, ids[:5], resource=self.resource(), on_existing="skip")
        assert (summary.existing, summary.created) == (2, 3)

    def test_fail_creates_nothing_and_names_the_rows(self, world, ids):
        world.sandbox.insert_screenings([ids[1]["candidate_id"]])
        job = Import(world, ids[:3], resource=self.resource(), on_existing="fail")
        with pytest.raises(ExistingRowsError, match="rows 2"):
            job.run()
        assert job.rejects == [{"row": 2, "field": "candidate_id", "reason": "exists already"}]
        assert world.count("POST /screenings") == 0

    def test_few_candidates_are_asked_and_of_many_the_list(self, store_url):
        world = World(store_url, candidates=3000, start_seconds=1e9)
        everybody = list(world.sandbox.account.candidates)
        world.sandbox.insert_screenings(everybody[1000:])
        few = [{"candidate_id": one} for one in everybody[:15]]
        run(world, few, resource=self.resource(), on_existing="skip")
        assert (world.count("GET /candidates/:id"), world.count("GET /screenings")) == (15, 1)
        many = [{"candidate_id": one} for one in everybody[15:60]]
        run(world, many, resource=self.resource(), on_existing="skip", job="dag/second run/task/-1")
        assert world.count("GET /candidates/:id") == 15
        assert len(world.sandbox.invitations) == 60

    def test_a_row_that_the_service_refuses_last_counts_too(self, world):
        """The limit is checked once everything is counted."""
        rows = [{"candidate_id": one} for one in ("c12345", "c12346", "c0", "c12347")]
        job = Import(world, rows, resource=self.resource())
        with pytest.raises(RejectedRowsError, match="1 of 4 rows was rejected, and max_rejects allows 0"):
            job.run()
        assert [row["row"] for row in job.rejects] == [3]
        assert [row["status"] for row in job.results][:3] == ["created", "created", "rejected"]

    @pytest.mark.parametrize("allowed", [0.5, 100])
    def test_a_job_that_created_nothing_since_all_was_refused_fails(self, world, ids, allowed):
        wrong = ScreeningResource("t1", None, send_invitation=True)
        with pytest.raises(RejectedRowsError, match="20 rows were rejected"):
            run(world, ids[:20], resource=wrong, max_rejects=allowed)

    def test_a_share_is_one_of_the_rows_that_were_to_be_created(self, world, ids):
        run(world, ids[:16], resource=self.resource())
        rows = [*ids[:19], {"candidate_id": "c1"}]
        job = {"resource": self.resource(), "on_existing": "skip", "job": "dag/second run/task/-1"}
        with pytest.raises(RejectedRowsError, match="1 of 4 rows"):
            run(world, rows, max_rejects=0.2, **job)
        assert run(world, rows, max_rejects=0.25, **job, first_try=False).rejected == 1

    def test_a_candidate_that_is_not_there_is_a_reject(self, world):
        rows = [{"candidate_id": "c12345"}, {"candidate_id": "c1"}, {"candidate_id": None}]
        job = Import(world, rows, resource=self.resource(), max_rejects=2)
        assert job.run().created == 1
        assert {row["row"] for row in job.rejects} == {2, 3}

    def test_ids_that_the_ledger_knows_from_an_earlier_pihupulse_are_no_hindrance(self, store_url):
        """The list does not tell when a screening came to be, but it was not there before anything was sent."""
        before, after = (World(store_url, start_seconds=1e9, clock=lambda at=at: at) for at in (START, START + 60))
        rows = [{"candidate_id": one} for one in before.sandbox.insert_candidates(3)]
        assert after.sandbox.insert_candidates(3) == [row["candidate_id"] for row in rows]
        run(before, rows, resource=self.resource(), job="dag/earlier/import/-1")
        after.sandbox.fail_next("drop", times=3, method="POST", after_commit=True)
        assert run(after, rows, resource=self.resource(), on_existing="skip").created == 3
        assert set(self.invited(after).values()) == {1}
