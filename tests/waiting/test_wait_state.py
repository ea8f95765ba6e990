"""What ends a wait, and how."""

from __future__ import annotations

import pytest

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.waiting.wait_spec import NOT_FOUND, Statuses, WaitSpec, needed, parse_wait_for
from pihupulse_provider.waiting.wait_state import GRACE, ScreeningSnapshot, WaitState
from tests.waiting.listener import Listener


def state_of(*statuses, **options):
    state = WaitState(WaitSpec({f"s{number}": None for number in range(len(statuses))}, 0.0, **options))
    state.see(ScreeningSnapshot(f"s{number}", "c1", status) for number, status in enumerate(statuses) if status)
    return state


@pytest.mark.parametrize(
    ("goal", "total", "count"),
    [("all", 3, 3), ("any", 3, 1), (2, 3, 2), (0.5, 3, 2), (0.9, 10, 9), (0.07, 100, 7), (1.0, 7, 7), ("all", 0, 0)],
)
def test_a_goal_says_how_many_have_to_succeed(goal, total, count):
    assert needed(goal, total) == count


@pytest.mark.parametrize(("text", "goal"), [("all", "all"), (" any ", "any"), ("3", 3), ("0.9", 0.9)])
def test_a_goal_may_come_as_text_from_a_template(text, goal):
    assert parse_wait_for(text) == goal


@pytest.mark.parametrize("goal", ["most", 0, -1, 0.0, 1.5, True, "0", "nan", ""])
def test_a_goal_that_makes_no_sense_is_refused(goal):
    with pytest.raises(ConfigurationError, match="wait_for"):
        parse_wait_for(goal)


@pytest.mark.parametrize(("goal", "total"), [("any", 0), (4, 3)])
def test_more_than_there_are_cannot_be_waited_for(goal, total):
    with pytest.raises(ConfigurationError, match=f"{total} screenings were given"):
        needed(goal, total)


@pytest.mark.parametrize(
    ("statuses", "goal", "state"),
    [
        (["completed", "completed"], "all", "succeeded"),
        (["completed", None], "all", "waiting"),
        (["completed", "failed"], "all", "failed"),
        (["failed", "pending"], "any", "waiting"),
        (["failed", "expired"], "any", "failed"),
        (["failed", "COMPLETED"], "any", "succeeded"),
        (["completed", "declined", "in_progress"], 2, "waiting"),
        (["completed", "declined", "cancelled"], 2, "failed"),
        (["completed", "completed", NOT_FOUND], "all", "failed"),
        (["completed"] * 9 + ["canceled"], 0.9, "succeeded"),
        (["paused", "completed"], "all", "waiting"),
        ([], "all", "succeeded"),
    ],
)
def test_the_verdict_follows_from_what_was_seen(statuses, goal, state):
    assert state_of(*statuses, wait_for=goal).judge().state == state


def test_a_best_effort_goes_on_while_anything_waits_although_the_goal_is_out_of_reach():
    state = state_of("failed", "pending", deadline=1.0)
    assert state.judge().state == "waiting"
    state.see([ScreeningSnapshot("s1", "c1", "completed", 80)])
    assert state.judge().state == "succeeded"


def test_an_end_is_final():
    state = state_of("completed", "pending")
    assert not state.see([ScreeningSnapshot("s0", "c1", "pending")])
    assert state.judge().completed == 1


def test_only_updates_are_new():
    state = state_of("pending")
    assert not state.see([ScreeningSnapshot("s0", "c1", "pending"), ScreeningSnapshot("other", "c1", "completed")])
    assert state.see([ScreeningSnapshot("s0", "c1", "in_progress")])


def test_a_candidate_that_was_known_stays_known():
    state = WaitState(WaitSpec({"s1": "c1"}, 0.0))
    state.see([ScreeningSnapshot("s1", None, "completed", 70)])
    assert [one.public() for one in state] == [
        {"screening_id": "s1", "candidate_id": "c1", "status": "completed", "score": 70, "completed_at": None}
    ]


def test_the_user_names_other_ends():
    statuses = {"succeeded_statuses": ["Reviewed"], "failed_statuses": ["no_show"]}
    assert state_of("reviewed", wait_for="all", **statuses).judge().state == "succeeded"
    assert state_of("NO_SHOW", wait_for="all", **statuses).judge().state == "failed"
    assert state_of("completed", wait_for="all", **statuses).judge().state == "waiting"


@pytest.mark.parametrize("statuses", [{"failed": ["Completed"]}, {"failed": "failed"}])
def test_statuses_that_contradict_each_other_are_refused(statuses):
    with pytest.raises(ConfigurationError, match="failed_statuses"):
        Statuses(**statuses)


def test_an_unknown_status_is_told_once_and_counts_as_waiting():
    state, heard = state_of("paused", "paused", "pending", "in_progress"), Listener()
    state.warn(heard)
    state.see([ScreeningSnapshot("s0", "c1", "pending"), ScreeningSnapshot("s0", "c1", "paused")])
    state.warn(heard)
    assert len(heard.lines) == 1
    assert "'paused'" in heard.lines[0]


@pytest.mark.parametrize("text", ["Jane Doe has declined", "jane@example.com", "\x1b[31m", "x" * 100])
def test_what_comes_in_place_of_a_status_is_not_repeated(text):
    heard = Listener()
    state_of(text).warn(heard)
    [line] = heard.lines
    assert line.startswith("PihuPulse gives screening s0 a status that is no word, which counts as waiting")


def test_a_service_with_ever_new_statuses_does_not_fill_the_log():
    heard = Listener()
    state_of(*(f"status-{number}" for number in range(100))).warn(heard)
    assert len(heard.lines) == 20


def test_a_verdict_names_the_failed_and_keeps_it_short():
    verdict = state_of(*["failed"] * 25).judge()
    assert verdict.failures().startswith("s0 (failed), s1 (failed)")
    assert verdict.failures().endswith("and 5 more")
    assert str(verdict) == "0 of 25 screenings completed, 25 failed, 0 waiting"


def test_a_verdict_names_no_failed_one_that_can_not_be_an_id():
    state = WaitState(WaitSpec({"ana.costa@example.com": None}, 0.0))
    state.see([ScreeningSnapshot("ana.costa@example.com", None, NOT_FOUND)])
    assert state.judge().failures() == "(a text of 21 characters) (not_found)"


def test_a_screening_that_does_not_show_is_gone_only_after_a_while():
    state = WaitState(WaitSpec({"s1": "c1"}, 0.0))
    assert state.gone({"s1"}, GRACE - 1) == []
    assert state.gone({"s1", "s2"}, GRACE) == [ScreeningSnapshot("s1", "c1", NOT_FOUND)]
