"""Many screenings: one and one invitation for each candidate."""

from __future__ import annotations

from collections import Counter

import pytest

from pihupulse_provider.creating.resources import ScreeningResource
from tests.creating.importing import Import, KilledError, run
from tests.creating.world import World


class TestScreenings:
    @pytest.fixture
    def ids(self, world):
        return [{"candidate_id": f"c{12345 + n}"} for n in range(200)]

    @staticmethod
    def resource():
        return ScreeningResource("t54321", "Engineer", send_invitation=True)

    def invited(self, world):
        return Counter(one["candidate_id"] for one in world.sandbox.invitations)

    def test_one_screening_and_one_invitation_each(self, world, ids):
        summary = run(world, [*ids, ids[0]], resource=self.resource())
        assert (summary.created, summary.duplicates, summary.requests) == (200, 1, 200)
        assert self.invited(world) == Counter(row["candidate_id"] for row in ids)

    def test_lost_answers_and_a_kill_invite_nobody_twice(self, world, ids):
        world.sandbox.insert_screenings([row["candidate_id"] for row in ids[:50]], "t54322")
        world.sandbox.fail("drop", method="POST", probability=0.1, after_commit=True)
        with pytest.raises(KilledError):
            run(world, ids, resource=self.resource(), kill_after=80)
        run(world, ids, resource=self.resource(), first_try=False)
        assert self.invited(world) == Counter(row["candidate_id"] for row in ids)

    def test_a_retry_without_its_ledger_invites_nobody_twice(self, world, ids):
        since = world.moment()
        with pytest.raises(KilledError):
            run(world, ids, resource=self.resource(), kill_after=80)
        run(world, ids, resource=self.resource(), first_try=False, since=since, ledger=world.ledger("sqlite://"))
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

    def test_a_candidate_that_is_not_there_is_a_reject(self, world):
        rows = [{"candidate_id": "c12345"}, {"candidate_id": "c1"}, {"candidate_id": None}]
        job = Import(world, rows, resource=self.resource(), max_rejects=2)
        assert job.run().created == 1
        assert {row["row"] for row in job.rejects} == {2, 3}
