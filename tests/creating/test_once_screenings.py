"""A single screening is created once, and its candidate is invited once."""

from __future__ import annotations

import pytest

from pihupulse_provider.api import DuplicateCreateError, NotFoundError, UnconfirmedCreateError
from pihupulse_provider.creating.errors import DeletedError, ExistingRowsError
from pihupulse_provider.creating.once import create_screening_once
from pihupulse_provider.creating.options import CreateOptions
from pihupulse_provider.store.retention import forget_jobs
from tests.creating.world import START, World

JOB = "dag/run/task/-1"


def create_screening(
    world, candidate_id, *, first_try=True, job=JOB, template="t54321", on_existing="create", sleep=None
):
    return create_screening_once(
        world.connect,
        world.ledger(),
        CreateOptions(job, first_try, on_existing=on_existing),
        world.new_screening(candidate_id, template),
        failed_statuses=["Failed"],
        sleep=sleep or world.sleep,
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


def test_that_the_candidate_has_none_resolves_it_without_reading_the_list(world):
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


class TestForgotten:
    """A job was forgotten, and the screening that it created still waits: nothing tells when that was created."""

    OTHER = "dag/long ago/task/-1"

    @pytest.fixture
    def theirs(self, world):
        made = create_screening(world, "c12400", job=self.OTHER)
        world.sandbox.advance(30 * 86400)
        forget_jobs(world.ledger().store, world.now() - 86400)
        return made

    @pytest.mark.parametrize("after_commit", [True, False])
    def test_it_is_not_taken_for_another_jobs(self, world, theirs, after_commit):
        world.sandbox.fail_next("drop", method="POST", after_commit=after_commit)
        with pytest.raises(DuplicateCreateError, match=f'{theirs.id}.*on_existing="skip" if what is there will do'):
            create_screening(world, "c12400")
        assert len(world.sandbox.invitations) == 1 + after_commit

    def test_it_does_for_a_job_that_skips_what_exists(self, world, theirs):
        world.sandbox.fail_next("drop", method="POST")
        assert create_screening(world, "c12400", on_existing="skip").id == theirs.id
        assert create_screening(world, "c12400", on_existing="skip", first_try=False).id == theirs.id
        assert len(world.sandbox.invitations) == 1

    def test_a_candidate_who_came_later_has_none_of_a_forgotten_job(self, world, theirs):
        [new] = world.sandbox.insert_candidates(1)
        world.sandbox.fail_next("drop", method="POST", after_commit=True)
        made = create_screening(world, new)
        assert [one["screening_id"] for one in world.sandbox.invitations] == [theirs.id, made.id]

    def test_without_a_lost_response_nothing_is_looked_for(self, world, theirs):
        before = world.count(None)
        assert create_screening(world, "c12400").id != theirs.id
        assert world.count(None) == before + 1


class TestExisting:
    def test_a_second_job_invites_nobody_again(self, world):
        made = create_screening(world, "c12400", on_existing="skip")
        again = create_screening(world, "c12400", job="dag/second run/task/-1", on_existing="skip")
        assert again.id == made.id
        assert len(world.sandbox.invitations) == 1

    def test_that_there_is_none_costs_one_request(self, world):
        world.sandbox.insert_screenings([f"c{12345 + n}" for n in range(250)])
        create_screening(world, "c12690", on_existing="skip")
        assert (world.count("GET /candidates/:id"), world.count("GET /screenings"), world.count(None)) == (1, 0, 2)

    def test_one_by_another_template_does_not_count(self, world):
        world.sandbox.insert_screenings(["c12400"], "t54322")
        create_screening(world, "c12400", on_existing="skip")
        assert len(world.sandbox.invitations) == 1

    @pytest.mark.parametrize("lost", [False, True])
    def test_one_that_failed_does_not_count(self, world, lost):
        [failed] = world.sandbox.insert_screenings(["c12400"])
        world.sandbox.put(failed, "failed")
        if lost:
            world.sandbox.fail_next("drop", method="POST")
        made = create_screening(world, "c12400", on_existing="skip")
        assert made.id != failed
        assert [one["screening_id"] for one in world.sandbox.invitations] == [made.id]

    def test_fail_creates_nothing(self, world):
        world.sandbox.insert_screenings(["c12400"])
        with pytest.raises(ExistingRowsError, match="The screening exists already"):
            create_screening(world, "c12400", on_existing="fail")
        assert world.count("POST /screenings") == 0

    def test_a_candidate_that_is_not_there_is_the_services_to_refuse(self, world):
        with pytest.raises(NotFoundError):
            create_screening(world, "c1", on_existing="skip")

    def test_a_lost_answer_after_the_look_invites_nobody_twice(self, world):
        world.sandbox.fail_next("drop", method="POST", after_commit=True)
        made = create_screening(world, "c12400", on_existing="skip")
        assert [one["screening_id"] for one in world.sandbox.invitations] == [made.id]


def test_a_deleted_candidate_is_said_to_be_so(world):
    create_screening(world, "c12400")
    world.sandbox.delete("c12400")
    with pytest.raises(DeletedError, match="candidate c12400 is not there any more"):
        create_screening(world, "c12400", first_try=False)


def test_a_deleted_screening_is_said_to_be_so(world):
    made = create_screening(world, "c12400")
    world.sandbox.delete(made.id)
    with pytest.raises(DeletedError, match=f"screening {made.id} is not there any more.*new DAG run") as caught:
        create_screening(world, "c12400", first_try=False)
    assert caught.value.ids == [made.id]
    assert world.count("POST /screenings") == 1


def test_details_that_lag_behind_are_requested_again(world):
    made = create_screening(world, "c12400")
    shown = world.sandbox.account.candidates["c12400"].screenings
    lagging = [shown.pop()]

    async def sleep(seconds):
        await world.sleep(seconds)
        shown.extend(lagging)

    assert create_screening(world, "c12400", first_try=False, sleep=sleep).id == made.id


@pytest.mark.parametrize("is_deleted", [False, True])
def test_the_list_tells_where_details_show_no_screenings(world, monkeypatch, is_deleted):
    made = create_screening(world, "c12400")
    views = world.sandbox.account.views
    monkeypatch.setattr(views, "detailed_candidate", views.created_candidate)
    if not is_deleted:
        assert create_screening(world, "c12400", first_try=False).status == "pending"
        return
    world.sandbox.delete(made.id)
    with pytest.raises(DeletedError, match=f"screening {made.id}"):
        create_screening(world, "c12400", first_try=False)


def test_the_list_tells_what_became_of_a_lost_answer_where_details_show_no_screenings(world, monkeypatch):
    views = world.sandbox.account.views
    monkeypatch.setattr(views, "detailed_candidate", views.created_candidate)
    world.sandbox.fail_next("drop", method="POST", after_commit=True)
    made = create_screening(world, "c12400")
    assert [one["screening_id"] for one in world.sandbox.invitations] == [made.id]


def test_one_that_is_deleted_once_the_list_has_shown_it_is_not_called_the_tasks_own(world):
    [existing] = world.sandbox.insert_screenings(["c12400"])
    gone = []

    def delete(_chance):
        if world.count("GET /screenings") and not gone:
            gone.append(world.sandbox.delete(existing))

    world.change = delete
    with pytest.raises(UnconfirmedCreateError, match=f"shows the screening {existing}"):
        create_screening(world, "c12400", on_existing="skip")


def test_one_whose_answer_was_lost_and_that_was_completed_before_the_retry_is_adopted(world):
    world.sandbox.fail_next("drop", method="POST", after_commit=True)

    async def die(_seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_screening(world, "c12400", sleep=die)
    [lost] = world.sandbox.invitations
    world.sandbox.advance(60)
    world.sandbox.complete(lost["screening_id"])
    assert create_screening(world, "c12400", first_try=False).id == lost["screening_id"]
    assert world.sandbox.invitations == [lost]


def test_one_that_only_the_details_show_invites_nobody_again(world):
    """Nobody can say which template it is of, so nothing is created."""
    [existing] = world.sandbox.insert_screenings(["c12400"])
    account = world.sandbox.account
    account.screening_list.remove(account.screenings[existing])
    with pytest.raises(UnconfirmedCreateError, match=f"the list does not show .{existing}."):
        create_screening(world, "c12400", on_existing="skip")
    assert world.sandbox.invitations == []


def test_ids_that_a_pihupulse_gives_again_after_a_backup_was_restored_are_no_hindrance(store_url):
    """The candidate was in the backup, and the screening of an earlier job was not: the ledger knows its id."""
    before, after = (World(store_url, start_seconds=1e9, candidates=1) for _ in range(2))
    create_screening(before, "c12345", job="dag/earlier/task/-1")
    after.sandbox.advance(60)
    after.sandbox.fail_next("drop", method="POST", after_commit=True)
    made = create_screening(after, "c12345", on_existing="skip")
    assert [one["screening_id"] for one in after.sandbox.invitations] == [made.id]


@pytest.mark.parametrize("on_existing", ["create", "skip"])
def test_ids_that_the_ledger_knows_from_an_earlier_pihupulse_are_no_hindrance(store_url, on_existing):
    """The local PihuPulse was started anew, and gives the same ids to the same candidates' screenings."""
    before = World(store_url, start_seconds=1e9)
    before.sandbox.insert_candidates(1)
    create_screening(before, "c12345", job="dag/earlier/task/-1")
    after = World(store_url, start_seconds=1e9, clock=lambda: START + 60)
    after.sandbox.insert_candidates(1)
    assert after.account.key == before.account.key
    after.sandbox.fail_next("drop", method="POST", after_commit=True)
    made = create_screening(after, "c12345", on_existing=on_existing)
    assert [one["screening_id"] for one in after.sandbox.invitations] == [made.id]
