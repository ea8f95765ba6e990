"""Fetching candidates and reports."""

from __future__ import annotations

import pytest

from pihupulse_provider.api import NotFoundError
from pihupulse_provider.operators.candidates import PihuPulseGetCandidateOperator
from pihupulse_provider.operators.reports import PihuPulseGetReportOperator
from tests.operators.people import holds_any

PERSONAL = {"name", "email", "phone", "resume_url"}


@pytest.fixture
def candidate(pihupulse_sandbox):
    [candidate_id] = pihupulse_sandbox.insert_candidates(1)
    [screening_id] = pihupulse_sandbox.insert_screenings([candidate_id])
    pihupulse_sandbox.complete(screening_id, score=91)
    return pihupulse_sandbox.candidates[0]


class TestCandidate:
    def test_its_xcom_is_the_details_without_the_personal_fields(self, dag_runs, candidate):
        with dag_runs.dag() as dag:
            PihuPulseGetCandidateOperator(task_id="get", candidate_id="{{ params.id }}")
        got = dag_runs.run(dag, {"id": candidate["id"]}).xcom("get")
        assert got.keys() == candidate.keys() - PERSONAL
        assert got["screenings"][0].items() >= {"status": "completed", "score": 91}.items()
        assert got["education"] == candidate["education"]

    def test_include_personal_gives_all_of_it(self, dag_runs, candidate):
        with dag_runs.dag() as dag:
            PihuPulseGetCandidateOperator(task_id="get", candidate_id=candidate["id"], include_personal=True)
        assert dag_runs.run(dag).xcom("get") == candidate

    def test_one_that_does_not_exist_fails_by_its_status(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseGetCandidateOperator(task_id="get", candidate_id="c1")
        [error] = dag_runs.run(dag).errors["get", -1]
        assert isinstance(error, NotFoundError)

    @pytest.mark.parametrize("candidate_id", ["", "{{ ' ' }}"])
    def test_an_empty_id_fails_without_a_request(self, dag_runs, pihupulse_sandbox, candidate_id):
        with dag_runs.dag() as dag:
            PihuPulseGetCandidateOperator(task_id="get", candidate_id=candidate_id)
        [error] = dag_runs.run(dag).errors["get", -1]
        assert isinstance(error, ValueError)
        assert pihupulse_sandbox.count() == 0


class TestReport:
    def test_its_xcom_does_not_name_the_candidate(self, dag_runs, candidate):
        screening_id = candidate["screenings"][0]["id"]
        with dag_runs.dag() as dag:
            PihuPulseGetReportOperator(task_id="get", screening_id="{{ params.id }}")
        got = dag_runs.run(dag, {"id": screening_id}).xcom("get")
        assert (got["screening_id"], got["candidate_id"], got["score"]) == (screening_id, candidate["id"], 91)
        assert got["skill_scores"]
        assert got["recommendation"]
        assert not got.keys() & {"candidate_name", "summary"}
        assert not holds_any(got, {"name": candidate["name"], "email": candidate["email"]})

    def test_include_personal_gives_all_of_it(self, dag_runs, candidate):
        with dag_runs.dag() as dag:
            PihuPulseGetReportOperator(
                task_id="get", screening_id=candidate["screenings"][0]["id"], include_personal=True
            )
        got = dag_runs.run(dag).xcom("get")
        assert got["candidate_name"] == candidate["name"]
        assert got["summary"]

    def test_a_list_of_ids_is_mapped(self, dag_runs, pihupulse_sandbox):
        screenings = pihupulse_sandbox.insert_screenings(pihupulse_sandbox.insert_candidates(2))
        for screening in screenings:
            pihupulse_sandbox.complete(screening)
        with dag_runs.dag() as dag:
            PihuPulseGetReportOperator.partial(task_id="get").expand(screening_id=screenings)
        run = dag_runs.run(dag)
        assert [run.xcom("get", index)["screening_id"] for index in (0, 1)] == screenings

    def test_one_that_is_not_there_yet_fails(self, dag_runs, pihupulse_sandbox):
        [screening] = pihupulse_sandbox.insert_screenings(pihupulse_sandbox.insert_candidates(1))
        pihupulse_sandbox.put(screening, "in_progress")
        with dag_runs.dag() as dag:
            PihuPulseGetReportOperator(task_id="get", screening_id=screening)
        [error] = dag_runs.run(dag).errors["get", -1]
        assert isinstance(error, NotFoundError)
