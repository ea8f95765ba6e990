"""The main job: a file of candidates is imported, screened, waited for and read, by the examples that users copy."""

from __future__ import annotations

import time

import pytest

PEOPLE = "name,email\n" + "".join(f"Main Job {n},main.job.{n}@example.com\n" for n in range(3))


@pytest.fixture(autouse=True)
def webhooks(airflow, sandbox):
    """Completed screenings are told to Airflow at once."""
    sandbox.send_webhooks_to(f"{airflow.url}/pihupulse/webhooks/pihupulse_default")
    yield
    sandbox.send_webhooks_to(None)


def complete(airflow, sandbox, dag_id, run_id, count):
    """Complete the run's screenings once they are waited for."""
    before = {one["id"] for one in sandbox.screenings if one["status"] == "completed"}
    airflow.wait_until(
        lambda: "deferred" in {task["state"] for task in airflow.task_instances(dag_id, run_id)}, 90, "a task waits"
    )
    # A trigger that fires at once overtakes the executor's note that the task has deferred, and Airflow fails the task.
    time.sleep(2)
    waiting = [one["id"] for one in sandbox.screenings if one["id"] not in before][-count:]
    for number, screening_id in enumerate(waiting):
        sandbox.complete(screening_id, score=60 + number)


def test_one_candidate(airflow, sandbox):
    run_id = airflow.trigger("screen_one_candidate", {"email": "one@example.com", "name": "Main Job"})
    complete(airflow, sandbox, "screen_one_candidate", run_id, 1)
    airflow.wait_for_success("screen_one_candidate", run_id)
    report = airflow.xcom("screen_one_candidate", run_id, "screen")
    assert report["score"] == 60
    assert report["candidate_id"] == airflow.xcom("screen_one_candidate", run_id, "create_candidate")["id"]


def test_a_file_of_candidates(airflow, sandbox, tmp_path):
    (tmp_path / "people.csv").write_text(PEOPLE)
    params = {"source": f"file://{tmp_path}/people.csv", "results": f"file://{tmp_path}/results"}
    run_id = airflow.trigger("import_and_screen", params)
    complete(airflow, sandbox, "import_and_screen", run_id, 3)
    airflow.wait_for_success("import_and_screen", run_id)
    assert [one["score"] for one in airflow.xcom("import_and_screen", run_id, "shortlist")] == [62, 61, 60]
