"""A task creates once, whatever becomes of its answer, its try and its store."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from pihupulse_provider.api import RetryPolicy
from pihupulse_provider.operators.candidates import PihuPulseCreateCandidateOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningOperator
from tests.operators.people import ALEX

MOMENT = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql", "none"])
def store(request, monkeypatch, tmp_path, pihupulse_sandbox):
    """Where the intents are kept, if anywhere."""
    # Without a store a task takes a small share of the rate, and waits for longer than its requests may take.
    connection = json.loads(pihupulse_sandbox.connection_json)
    connection["extra"] |= {"requests_per_minute": 6000, "timeout": 1}
    monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", json.dumps(connection))
    urls = {
        "sqlite": lambda: f"sqlite:///{tmp_path}/store.db",
        "postgresql": lambda: request.getfixturevalue("postgres_url"),
        "none": lambda: "sqlite:////proc/nowhere/store.db",
    }
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL", urls[request.param]())


def create_candidate(dag_runs):
    with dag_runs.dag(retries=2) as dag:
        PihuPulseCreateCandidateOperator(task_id="create", **ALEX)
    return dag


def create_screening(dag_runs, candidate_id):
    with dag_runs.dag(retries=2) as dag:
        PihuPulseCreateScreeningOperator(
            task_id="create", candidate_id=candidate_id, template_id="t54321", send_invitation=True
        )
    return dag


@pytest.mark.usefixtures("store")
class TestLostAnswer:
    """PihuPulse carried the request out, and its answer never came."""

    def test_one_candidate(self, dag_runs, pihupulse_sandbox):
        pihupulse_sandbox.fail_next("drop", method="POST", after_commit=True)
        run = dag_runs.run(create_candidate(dag_runs))
        assert [run.xcom("create")["id"]] == [one["id"] for one in pihupulse_sandbox.candidates]

    def test_one_screening_and_one_invitation(self, dag_runs, pihupulse_sandbox):
        [candidate_id] = pihupulse_sandbox.insert_candidates(1)
        pihupulse_sandbox.fail_next("drop", method="POST", after_commit=True)
        run = dag_runs.run(create_screening(dag_runs, candidate_id))
        assert [run.xcom("create")["id"]] == [one["screening_id"] for one in pihupulse_sandbox.invitations]
        assert len(pihupulse_sandbox.screenings) == 1

    def test_a_look_up_that_fails_too_is_made_by_the_next_try(self, dag_runs, pihupulse_sandbox, monkeypatch):
        monkeypatch.setattr("pihupulse_provider.api.async_client.RetryPolicy", lambda: RetryPolicy(attempts=1))
        pihupulse_sandbox.fail_next("drop", method="POST", after_commit=True)
        pihupulse_sandbox.fail_next("error", method="GET", path="/candidates", status=503)
        run = dag_runs.run(create_candidate(dag_runs))
        assert [type(error).__name__ for error in run.errors["create", -1]] == ["ServerError"]
        assert [run.xcom("create")["id"]] == [one["id"] for one in pihupulse_sandbox.candidates]


class TestClearing:
    """A task that succeeded and is cleared has the name that it had."""

    def test_it_gives_the_same_candidate(self, dag_runs, pihupulse_sandbox):
        dag = create_candidate(dag_runs)
        first, again = (dag_runs.run(dag, at=MOMENT).xcom("create")["id"] for _ in range(2))
        assert first == again
        assert pihupulse_sandbox.count("POST /candidates") == 1

    def test_it_gives_the_same_screening_and_invites_nobody_again(self, dag_runs, pihupulse_sandbox):
        dag = create_screening(dag_runs, pihupulse_sandbox.insert_candidates(1)[0])
        first, again = (dag_runs.run(dag, at=MOMENT).xcom("create")["id"] for _ in range(2))
        assert first == again
        assert len(pihupulse_sandbox.invitations) == 1

    def test_another_run_creates_another(self, dag_runs, pihupulse_sandbox):
        dag = create_candidate(dag_runs)
        first, other = (dag_runs.run(dag).xcom("create")["id"] for _ in range(2))
        assert first != other


class TestMapped:
    def test_two_with_the_same_address_are_two(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator.partial(task_id="create", name="A").expand(email=[ALEX["email"]] * 2)
        run = dag_runs.run(dag)
        assert {run.xcom("create", index)["id"] for index in (0, 1)} == {
            one["id"] for one in pihupulse_sandbox.candidates
        }
        assert len(pihupulse_sandbox.candidates) == 2
