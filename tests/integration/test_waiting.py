"""Deferred waits on a real Airflow: its triggerer is stopped and killed, tasks time out, are cleared and marked.

``PIHUPULSE_TEST_WAITS=200`` runs it with as many deferred tasks.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress

import pytest

WAITS = int(os.environ.get("PIHUPULSE_TEST_WAITS", "8"))


class Triggerers:
    """Ends the triggerer and starts another."""

    def __init__(self, airflow):
        self.airflow = airflow
        self._started = []

    def replace(self, sign):
        """Send a signal to every process of the triggerer, wait until they are gone, and start a new one."""
        for pid in self.airflow.pids_of("triggerer"):
            with suppress(ProcessLookupError):
                os.kill(pid, sign)
        self.airflow.wait_until(lambda: not self.airflow.pids_of("triggerer"), 30, "the triggerer has ended")
        log = (self.airflow.home / "triggerer.log").open("ab")
        command = ["airflow", "triggerer", "--skip-serve-logs"]
        process = subprocess.Popen(command, env=self.airflow.env, stdout=log, stderr=log, start_new_session=True)
        self._started.append((process, log))

    def stop(self):
        for process, log in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            log.close()


@pytest.fixture(scope="module")
def triggerers(airflow):
    triggerers = Triggerers(airflow)
    yield triggerers
    triggerers.stop()


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


def complete(sandbox, ids):
    for one in ids:
        sandbox.complete(one, 80)


def requests_in(sandbox, seconds):
    before = sandbox.count()
    time.sleep(seconds)
    return sandbox.count() - before


def test_every_wait_outlives_a_triggerer_that_is_stopped_and_one_that_is_killed(airflow, triggerers, sandbox, begin):
    all_run, many = begin("wait_for_all", 300)
    each_run, single = begin("wait_for_each", WAITS, deferred=WAITS)
    assert requests_in(sandbox, 5) <= 6 * 5
    triggerers.replace(signal.SIGTERM)
    airflow.wait_until(lambda: requests_in(sandbox, 1) > 0, 60, "the next triggerer looks")
    triggerers.replace(signal.SIGKILL)
    complete(sandbox, many + single)
    assert airflow.wait_for_run("wait_for_all", all_run, 120) == "success"
    assert airflow.wait_for_run("wait_for_each", each_run, 600) == "success"
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
    assert "0 of 1 screenings completed" in airflow.task_log("wait_briefly", run_id, "fail")
    assert {instance["try_number"] for instance in airflow.task_instances("wait_briefly", run_id)} == {1}


def test_a_task_that_is_marked_failed_is_no_longer_waited_for_and_one_that_is_cleared_waits_anew(
    airflow, sandbox, begin
):
    run_id, ids = begin("wait_for_all", 1)
    task = f"/dags/wait_for_all/dagRuns/{run_id}/taskInstances/wait"
    airflow.patch(task, {"new_state": "failed"})
    airflow.wait_until(lambda: requests_in(sandbox, 2) == 0, 60, "nobody looks any more")
    clear = {"dag_run_id": run_id, "task_ids": ["wait"], "dry_run": False, "only_failed": False, "reset_dag_runs": True}
    airflow.post("/dags/wait_for_all/clearTaskInstances", clear)
    airflow.wait_until(lambda: states(airflow, "wait_for_all", run_id) == ["deferred"], 60, "the task waits anew")
    airflow.post("/dags/wait_for_all/clearTaskInstances", clear)
    complete(sandbox, ids)
    assert airflow.wait_for_run("wait_for_all", run_id) == "success"
    assert airflow.xcom("wait_for_all", run_id, "wait")[0]["screening_id"] == ids[0]
