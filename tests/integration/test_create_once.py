"""The worker of a create is killed when PihuPulse has carried it out and not yet answered, and the task retried."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.servers import free_port

DAG = "create_once"
TASKS = ("candidate", "screening")
STORES = ("sqlite", "postgresql", "lost", "unreachable")


@pytest.fixture(scope="module")
def runs(airflow, sandbox, postgres_url, tmp_path_factory):
    """One run for each store: killed between the POST and its answer, and ended; by store, its id and its params."""
    folder = tmp_path_factory.mktemp("stores")
    urls = {
        "sqlite": f"sqlite:///{folder}/kept.db",
        "postgresql": postgres_url,
        "lost": f"sqlite:///{folder}/lost.db",
        "unreachable": f"postgresql://nobody@127.0.0.1:{free_port()}/nothing",
    }
    candidates = dict(zip(STORES, sandbox.insert_candidates(len(STORES)), strict=True))
    params = {
        store: {"store_url": urls[store], "email": f"{store}@example.com", "candidate_id": candidates[store]}
        for store in STORES
    }
    killed = len(STORES) * len(TASKS)
    sandbox.fail_next("latency", times=killed, method="POST", seconds=300)
    begun = {store: airflow.trigger(DAG, params[store]) for store in STORES}
    airflow.wait_until(lambda: len(made(sandbox, params)) == killed, 90, "every create has happened")
    for run_id in begun.values():
        for task in airflow.task_instances(DAG, run_id):
            os.kill(task["pid"], signal.SIGKILL)
    for file in Path(folder).glob("lost.db*"):
        file.unlink()
    for run_id in begun.values():
        # Airflow 3.0 fails a killed task without a retry: a person clears it.
        if airflow.wait_for_run(DAG, run_id) == "failed":
            run_again(airflow, run_id)
    return {store: (begun[store], params[store]) for store in STORES}


def run_again(airflow, run_id):
    clear = {"dag_run_id": run_id, "dry_run": False, "only_failed": False, "reset_dag_runs": True}
    airflow.post(f"/dags/{DAG}/clearTaskInstances", clear)
    airflow.wait_for_success(DAG, run_id)


def made(sandbox, params):
    emails = {one["email"] for one in params.values()}
    screened = {one["candidate_id"] for one in params.values()}
    return [one for one in sandbox.candidates if one["email"] in emails] + [
        one for one in sandbox.screenings if one["candidate_id"] in screened
    ]


@pytest.mark.parametrize("store", STORES)
def test_the_retry_adopts_what_the_killed_try_created(airflow, sandbox, runs, store):
    run_id, params = runs[store]
    assert {
        task["task_id"]: (task["state"], task["try_number"]) for task in airflow.task_instances(DAG, run_id)
    } == dict.fromkeys(TASKS, ("success", 2))
    candidates = [one["id"] for one in sandbox.candidates if one["email"] == params["email"]]
    assert candidates == [airflow.xcom(DAG, run_id, "candidate")["id"]]
    screenings = [one["id"] for one in sandbox.screenings if one["candidate_id"] == params["candidate_id"]]
    assert screenings == [airflow.xcom(DAG, run_id, "screening")["id"]]
    invited = [one["screening_id"] for one in sandbox.invitations if one["candidate_id"] == params["candidate_id"]]
    assert invited == screenings


def test_a_cleared_task_gives_the_same_again(airflow, sandbox, runs):
    run_id, params = runs["sqlite"]
    before = {task: airflow.xcom(DAG, run_id, task)["id"] for task in TASKS}
    run_again(airflow, run_id)
    assert {task: airflow.xcom(DAG, run_id, task)["id"] for task in TASKS} == before
    assert [one["email"] for one in sandbox.candidates].count(params["email"]) == 1
    assert [one["candidate_id"] for one in sandbox.invitations].count(params["candidate_id"]) == 1
