"""The examples that wait, run on a real Airflow."""

from __future__ import annotations

import json
import time

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS


@pytest.fixture
def hurry(airflow, sandbox):
    """Wait until something holds, while every screening is completed as soon as it is there."""

    def until(done, what, score=90):
        def step():
            for row in sandbox.screenings:
                if row["status"] != "completed":
                    sandbox.complete(row["id"], score)
            return done()

        airflow.wait_until(step, 120, what)

    return until


def test_screen_and_branch_goes_one_of_two_ways_for_each_candidate(airflow, sandbox, hurry):
    candidates = sandbox.insert_candidates(2)
    run_id = airflow.trigger("screen_and_branch", {"candidate_ids": candidates})
    hurry(lambda: airflow.run_state("screen_and_branch", run_id) in {"success", "failed"}, "the run has ended")
    assert airflow.run_state("screen_and_branch", run_id) == "success"
    states = {
        (instance["task_id"], instance["map_index"]): instance["state"]
        for instance in airflow.task_instances("screen_and_branch", run_id)
    }
    for number, candidate in enumerate(candidates):
        assert airflow.xcom("screen_and_branch", run_id, "follow_up.invite", number) == candidate
        assert states["follow_up.decline", number] == "skipped"


def test_the_funnel_hands_on_the_shortlist_once_a_person_has_approved_it(airflow, sandbox, hurry, tmp_path):
    source = tmp_path / "candidates.csv"
    people = "".join(f"Candidate {number},candidate{number}@example.com\n" for number in range(5))
    source.write_text(f"name,email\n{people}", "utf-8")
    run_id = airflow.trigger("funnel", {"source": f"file://{source}", "folder": f"file://{tmp_path}"})
    if AIRFLOW_V_3_1_PLUS:
        approve(airflow, run_id, hurry)
    else:
        hurry(lambda: airflow.run_state("funnel", run_id) in {"success", "failed"}, "the run has ended")
    airflow.wait_for_success("funnel", run_id)
    [outcomes_path] = tmp_path.glob("*/outcomes.jsonl")
    outcomes = [json.loads(line) for line in outcomes_path.read_text("utf-8").splitlines()]
    assert airflow.xcom("funnel", run_id, "hand_on") == [row["candidate_id"] for row in outcomes]
    assert len(outcomes) == 5
    assert outcomes_path.with_name("reports.parquet").read_bytes()[:4] == b"PAR1"


def approve(airflow, run_id, hurry):
    """Approve as a person does, where Airflow asks one (from 3.1 on)."""
    run = f"/dags/funnel/dagRuns/{run_id}"
    hurry(lambda: airflow.task_state("funnel", run_id, "approve") in {"deferred", "awaiting_input"}, "approval is due")
    instance = next(one for one in airflow.task_instances("funnel", run_id) if one["task_id"] == "approve")
    assert instance["state"] in {"deferred", "awaiting_input"}
    time.sleep(1)
    airflow.patch(f"{run}/taskInstances/approve/-1/hitlDetails", {"chosen_options": ["Approve"], "params_input": {}})
