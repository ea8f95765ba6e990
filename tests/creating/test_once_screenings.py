"""A single screening is created once, and its candidate is invited once."""

from __future__ import annotations

import pytest

from pihupulse_provider.creating.once import create_screening_once
from pihupulse_provider.creating.options import CreateOptions

JOB = "dag/run/task/-1"


def create_screening(world, candidate_id, *, first_try=True, job=JOB, template="t54321", on_existing="create"):
    return create_screening_once(
        world.connect,
        world.ledger(),
        CreateOptions(job, first_try, on_existing=on_existing),
        world.new_screening(candidate_id, template),
        failed_statuses=["Failed"],
        sleep=world.sleep,
    )


def test_a_clean_first_try_is_one_request_and_one_invitation(world):
    made = create_screening(world, "c12400")
    assert [one["screening_id"] for one in world.sandbox.invitations] == [made.id]
    assert world.count(None) == 1


def test_a_job_that_is_done_invites_nobody_again(world):
    made = create_screening(world, "c12400")
    again = create_screening(world, "c12400", first_try=False)
    assert (again.id, again.template_id, again.status) == (made.id, "t54321", "pending")
    assert len(world.sandbox.invitations) == 1


@pytest.mark.parametrize("kind", ["drop", "html", "truncated"])
def test_a_lost_answer_invites_nobody_twice(world, kind):
    world.sandbox.insert_screenings([f"c{12345 + n}" for n in range(250)])
    world.sandbox.fail_next(kind, method="POST", after_commit=True)
    made = create_screening(world, "c12690")
    assert [one["screening_id"] for one in world.sandbox.invitations] == [made.id]
    assert world.count("GET /screenings") <= 2


def test_that_the_candidate_has_none_settles_it_without_reading_the_list(world):
    world.sandbox.fail_next("drop", method="POST")
    create_screening(world, "c12400")
    assert world.count("GET /screenings") == 0
    assert len(world.sandbox.invitations) == 1


def test_a_screening_by_another_template_is_not_taken_for_it(world):
    world.sandbox.insert_screenings(["c12400"], "t54322")
    world.sandbox.fail_next("drop", method="POST")
    made = create_screening(world, "c12400")
    assert world.sandbox.screenings[-1]["id"] == made.id
    assert len(world.sandbox.screenings) == 2


def test_one_that_was_completed_before_is_not_taken_for_it(world):
    [earlier] = world.sandbox.insert_screenings(["c12400"])
    world.sandbox.complete(earlier)
    world.sandbox.advance(60)
    world.sandbox.fail_next("drop", method="POST")
    made = create_screening(world, "c12400")
    assert made.id != earlier


def test_one_that_still_waits_is_adopted_rather_than_mailing_twice(world):
    [pending] = world.sandbox.insert_screenings(["c12400"])
    assert create_screening(world, "c12400", first_try=False).id == pending
    assert world.sandbox.invitations == []


def test_another_jobs_screening_of_the_same_candidate_and_template_is_left_alone(world):
    theirs = create_screening(world, "c12400", job="dag/other/task/-1")
    world.sandbox.fail_next("drop", method="POST")
    mine = create_screening(world, "c12400")
    assert mine.id != theirs.id
    assert len(world.sandbox.invitations) == 2
