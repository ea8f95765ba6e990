"""Deferred waits on a real Airflow: its triggerer is stopped and killed, tasks time out, are cleared and marked.

``PIHUPULSE_TEST_WAITS=200`` runs it with as many deferred tasks.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

WAITS = int(os.environ.get("PIHUPULSE_TEST_WAITS", "4"))
ONE_ASKS = 6 * 5
"""Requests of one triggerer in five seconds, at most: six polls, each of the pages that show three hundred."""


@pytest.fixture
def begin(airflow, sandbox):
    """Start a run that waits for new screenings; return it and their ids once its tasks are deferred."""

    def start(dag_id, count, deferred=1):
        ids = sandbox.insert_screenings(sandbox.insert_candidates(count))
        run_id = airflow.trigger(dag_id, {"ids": ids})
        airflow.wait_until(
            lambda: states(airflow, dag_id, run_id).count("deferred") == deferred, 600, f"{deferred} tasks are deferred"
        )
        return run_id, ids

    return start


def states(airflow, dag_id, run_id):
    return [instance["state"] for instance in airflow.task_instances(dag_id, run_id)]


def held_by(airflow, dag_id, run_id):
    """Return the triggerers that hold the run's waits."""
    instances = airflow.task_instances(dag_id, run_id)
    return {one["triggerer_job"]["id"] for one in instances if one["triggerer_job"]}


def replace_triggerer(airflow, sign, count=1, capacity=1000):
    """End the triggerer with a signal, and start new ones that take so many triggers each."""
    airflow.end("triggerer", sign)
    for _ in range(count):
        airflow.begin("triggerer", "--skip-serve-logs", "--capacity", str(capacity))


def complete(sandbox, ids):
    for one in ids:
        sandbox.complete(one, 80)


def requests_in(sandbox, seconds):
    before = sandbox.count()
    time.sleep(seconds)
    return sandbox.count() - before


def test_every_wait_outlives_triggerers_that_are_killed_and_stopped_and_two_ask_at_most_twice_as_much(
    airflow, sandbox, begin
):
    all_run, many = begin("wait_for_all", 300)
    each_run, single = begin("wait_for_each", WAITS, deferred=WAITS)
    assert requests_in(sandbox, 5) <= ONE_ASKS

    replace_triggerer(airflow, signal.SIGKILL)
    airflow.wait_until(lambda: requests_in(sandbox, 1) > 0, 60, "the next triggerer polls")
    replace_triggerer(airflow, signal.SIGTERM, count=2, capacity=WAITS // 2 + 1)
    airflow.wait_until(lambda: len(held_by(airflow, "wait_for_each", each_run)) == 2, 60, "both triggerers wait")
    assert requests_in(sandbox, 5) <= 2 * ONE_ASKS

    airflow.end("triggerer", signal.SIGKILL, count=1)
    complete(sandbox, many + single)
    airflow.wait_for_success("wait_for_all", all_run, 120)
    airflow.wait_for_success("wait_for_each", each_run, 600)
    assert {outcome["score"] for outcome in airflow.xcom("wait_for_all", all_run, "wait")} == {80}
    outcomes = [airflow.xcom("wait_for_each", each_run, "wait", number)[0] for number in range(WAITS)]
    assert [outcome["screening_id"] for outcome in outcomes] == single
    assert sandbox.count(status=429) == 0
    assert requests_in(sandbox, 3) == 0


def test_a_timeout_fails_the_task_without_a_retry_and_skips_one_that_may_fail(airflow, sandbox):
    ids = sandbox.insert_screenings(sandbox.insert_candidates(1))
    run_id = airflow.trigger("wait_briefly", {"ids": ids})
    airflow.wait_for_run("wait_briefly", run_id)
    assert airflow.task_state("wait_briefly", run_id, "fail") == "failed"
    assert airflow.task_state("wait_briefly", run_id, "skip") == "skipped"
    assert "0 of 1 screening completed" in airflow.task_log("wait_briefly", run_id, "fail")
    assert {instance["try_number"] for instance in airflow.task_instances("wait_briefly", run_id)} == {1}


def test_a_task_that_is_marked_failed_is_no_longer_waited_for_and_one_that_is_cleared_waits_anew(
    airflow, sandbox, begin
):
    run_id, ids = begin("wait_for_all", 1)
    task = f"/dags/wait_for_all/dagRuns/{run_id}/taskInstances/wait"
    airflow.patch(task, {"new_state": "failed"})
    airflow.wait_until(lambda: requests_in(sandbox, 2) == 0, 60, "nobody polls any more")
    clear = {"dag_run_id": run_id, "task_ids": ["wait"], "dry_run": False, "only_failed": False, "reset_dag_runs": True}
    airflow.post("/dags/wait_for_all/clearTaskInstances", clear)
    airflow.wait_until(lambda: states(airflow, "wait_for_all", run_id) == ["deferred"], 60, "the task waits anew")
    airflow.post("/dags/wait_for_all/clearTaskInstances", clear)
    complete(sandbox, ids)
    airflow.wait_for_success("wait_for_all", run_id)
    assert airflow.xcom("wait_for_all", run_id, "wait")[0]["screening_id"] == ids[0]
