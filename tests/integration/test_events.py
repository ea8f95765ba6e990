"""Webhooks through a real Airflow: from the delivery to the API server to the task that it starts or wakes."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

DAG = "started_by_webhooks"
SECONDS = 15.0
"""Far more than it takes: a machine that runs all tests at once is slow."""


@pytest.fixture(scope="module")
def webhooks(airflow, sandbox):
    """Deliver the webhooks of the local PihuPulse to Airflow's API server."""
    sandbox.send_webhooks_to(f"{airflow.url}/pihupulse/webhooks/pihupulse_default")
    yield
    sandbox.send_webhooks_to(None)


@pytest.fixture
def screening(sandbox):
    (one,) = sandbox.insert_screenings(sandbox.insert_candidates(1))
    return one


def runs_of(airflow):
    return airflow.get(f"/dags/{DAG}/dagRuns", order_by="run_after")["dag_runs"]


def read_by(airflow, run):
    return [event["screening_id"] for event in airflow.xcom(DAG, run["dag_run_id"], "read_events")]


def test_the_api_server_receives_them(airflow):
    assert httpx.get(f"{airflow.url}/pihupulse/health").json() == {"status": "ok"}
    answer = httpx.post(f"{airflow.url}/pihupulse/webhooks/pihupulse_default", content=b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "bad_signature")


@pytest.mark.usefixtures("webhooks")
def test_a_screening_that_is_completed_starts_the_dag_at_once(airflow, sandbox, screening):
    airflow.wait_until(lambda: airflow.get("/dags", dag_id_pattern=DAG)["dags"], 90, f"{DAG} is known")
    completed = [screening, *_more(sandbox, 2)]
    started = [_delivered_to_started(airflow, sandbox, one) for one in completed]
    print(f"Seconds from the delivery to the running task: {started}")
    assert min(started) < SECONDS
    read = [one for run in runs_of(airflow) for one in read_by(airflow, run)]
    assert len(read) == len(set(read))
    assert set(completed) <= set(read)


def _more(sandbox, count):
    return sandbox.insert_screenings(sandbox.insert_candidates(count))


def _delivered_to_started(airflow, sandbox, screening):
    before = len(runs_of(airflow))
    sandbox.complete(screening, 90)
    airflow.wait_until(lambda: len(runs_of(airflow)) > before, 60, "a run was started")
    run = runs_of(airflow)[-1]
    airflow.wait_for_success(DAG, run["dag_run_id"])
    (task,) = [one for one in airflow.task_instances(DAG, run["dag_run_id"]) if one["task_id"] == "read_events"]
    delivered = airflow.xcom(DAG, run["dag_run_id"], "read_events")[-1]["received_at"]
    return (datetime.fromisoformat(task["start_date"]) - datetime.fromisoformat(delivered)).total_seconds()


@pytest.mark.usefixtures("webhooks")
def test_deferred_sensors_wake_at_once(airflow, sandbox, screening):
    run_id = airflow.trigger("waiting_for_webhooks", {"ids": [screening]})
    deferred = ("wait_for_screening", "wait_for_event")
    airflow.wait_until(
        lambda: all(airflow.task_state("waiting_for_webhooks", run_id, one) == "deferred" for one in deferred),
        120,
        "both sensors are deferred",
    )
    completed = datetime.now(UTC)
    sandbox.complete(screening, 90)
    airflow.wait_for_success("waiting_for_webhooks", run_id)
    for event in airflow.xcom("waiting_for_webhooks", run_id, "wait_for_screening"):
        assert (event["screening_id"], event["score"]) == (screening, 90)
    ended = max(
        datetime.fromisoformat(one["end_date"])
        for one in airflow.task_instances("waiting_for_webhooks", run_id)
        if one["task_id"] in deferred
    )
    print(f"Seconds from the completion to the end of both tasks: {(ended - completed).total_seconds()}")
    assert (ended - completed).total_seconds() < SECONDS
