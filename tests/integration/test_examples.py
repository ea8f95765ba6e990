"""Every example, triggered on a real Airflow with its own defaults, and what came of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.integration.examples import EXAMPLES

NO_ERROR = re.compile(r"Variable (with key \S+ )?not found")
"""What Airflow 3.0 and 3.1 say where a variable has not been set yet."""
COMPLAINT = re.compile(r"\b(WARNING|ERROR|CRITICAL|Traceback)\b", re.IGNORECASE)


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_succeeds_with_its_defaults(airflow, example_runs, name):
    runs = {run["dag_run_id"]: run["state"] for run in example_runs.ended[name]}
    assert runs[example_runs.triggered[name]]
    failed = [run_id for run_id, state in runs.items() if state != "success"]
    assert not failed, airflow.what_failed(name, failed[0])


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_page_says_what_it_does(airflow, name):
    assert len(airflow.get(f"/dags/{name}/details")["doc_md"]) > 50


def test_a_file_is_imported_screened_and_ranked(airflow, example_runs):
    ranked = airflow.xcom("import_and_screen", example_runs.triggered["import_and_screen"], "shortlist")
    assert len({one["candidate_id"] for one in ranked}) == 11
    assert [one["score"] for one in ranked] == sorted((one["score"] for one in ranked), reverse=True)


def test_one_candidate_is_screened_and_their_report_returned(airflow, example_runs):
    run_id = example_runs.triggered["screen_one_candidate"]
    report = airflow.xcom("screen_one_candidate", run_id, "screen")
    assert report["score"] >= 60
    assert report["candidate_id"] == airflow.xcom("screen_one_candidate", run_id, "create_candidate")["id"]


def test_each_of_several_goes_one_of_two_ways(airflow, example_runs):
    run_id = example_runs.triggered["screen_and_branch"]
    tasks = airflow.task_instances("screen_and_branch", run_id)
    states = {(task["task_id"], task["map_index"]): task["state"] for task in tasks}
    for number in range(3):
        [outcome] = airflow.xcom("screen_and_branch", run_id, "follow_up.wait", number)
        invited = "success" if outcome["score"] >= 80 else "skipped"
        assert states["follow_up.invite", number] == invited
        assert states["follow_up.decline", number] == ({"success", "skipped"} - {invited}).pop()


def test_the_funnel_hands_on_the_shortlist_once_a_person_has_approved_it(airflow, example_runs):
    run_id = example_runs.triggered["funnel"]
    path = Path(airflow.xcom("funnel", run_id, "wait_for_most")["results_path"].removeprefix("file://"))
    outcomes = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    passed = {row["candidate_id"] for row in outcomes if (row["score"] or 0) >= 75}
    assert set(airflow.xcom("funnel", run_id, "hand_on")) == passed
    assert path.with_name("reports.parquet").read_bytes()[:4] == b"PAR1"


@pytest.mark.usefixtures("example_runs")
def test_no_process_complains_of_the_provider(airflow):
    lines = airflow.log.read_text("utf-8", "replace").splitlines()
    ours = [line for line in lines if "pihupulse" in line.casefold() and not NO_ERROR.search(line)]
    assert [line for line in ours if COMPLAINT.search(line)] == []
