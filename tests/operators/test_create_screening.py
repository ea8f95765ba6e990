"""Creating a screening, and waiting for it."""

from __future__ import annotations

import time

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import task

from pihupulse_provider.api import ConfigurationError, NotFoundError
from pihupulse_provider.operators.candidates import PihuPulseCreateCandidateOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningOperator
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.triggers.waiting import ScreeningFailedError


@pytest.fixture
def candidate_id(pihupulse_sandbox):
    return pihupulse_sandbox.insert_candidates(1)[0]


@pytest.fixture
def endless_sandbox(monkeypatch):
    """A PihuPulse whose screenings start and never complete."""
    with Sandbox(start_seconds=0.3, screening_seconds=1e9) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", sandbox.connection_json)
        yield sandbox


class TestXCom:
    def test_it_is_the_screening(self, dag_runs, pihupulse_sandbox, candidate_id):
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningOperator(task_id="screen", candidate_id=candidate_id, template_id="t54321")
        made = dag_runs.run(dag).xcom("screen")
        [screening] = pihupulse_sandbox.screenings
        assert made["id"] == screening["id"]
        assert (made["candidate_id"], made["template_id"]) == (candidate_id, "t54321")
        assert {name for name, value in made.items() if value is not None} == {
            "id",
            "candidate_id",
            "template_id",
            "status",
        }
        assert pihupulse_sandbox.invitations == []

    def test_none_is_pushed_when_that_is_not_wanted(self, dag_runs, candidate_id):
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningOperator(
                task_id="screen", candidate_id=candidate_id, template_id="t54321", do_xcom_push=False
            )
        run = dag_runs.run(dag)
        assert (run.state, run.xcom("screen")) == ("success", None)


class TestFields:
    def test_they_are_templated(self, dag_runs, pihupulse_sandbox, candidate_id):
        given = {"candidate_id": candidate_id, "template_id": "t54322", "job_title": "Engineer"}
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningOperator(
                task_id="screen",
                send_invitation="{{ params.invite }}",
                **{name: f"{{{{ params.{name} }}}}" for name in given},
            )
        run = dag_runs.run(dag, {**given, "invite": True})
        assert run.rendered("screen").items() >= given.items()
        assert pihupulse_sandbox.screenings[0]["template_id"] == "t54322"
        assert [one["candidate_id"] for one in pihupulse_sandbox.invitations] == [candidate_id]

    def test_an_invitation_that_a_template_refuses_is_not_sent(self, dag_runs, pihupulse_sandbox, candidate_id):
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningOperator(
                task_id="screen",
                candidate_id=candidate_id,
                template_id="t54321",
                send_invitation="{{ params.invite }}",
            )
        assert dag_runs.run(dag, {"invite": False}).state == "success"
        assert pihupulse_sandbox.invitations == []

    def test_an_invitation_that_is_neither_wanted_nor_refused_fails_without_a_request(
        self, dag_runs, pihupulse_sandbox, candidate_id
    ):
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningOperator(
                task_id="screen", candidate_id=candidate_id, template_id="t54321", send_invitation="{{ 'perhaps' }}"
            )
        [error] = dag_runs.run(dag).errors["screen", -1]
        assert isinstance(error, ConfigurationError)
        assert "send_invitation" in str(error)
        assert pihupulse_sandbox.count() == 0

    def test_a_template_that_does_not_exist_fails(self, dag_runs, candidate_id):
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningOperator(task_id="screen", candidate_id=candidate_id, template_id="t1")
        [error] = dag_runs.run(dag).errors["screen", -1]
        assert isinstance(error, NotFoundError)

    @pytest.mark.parametrize("empty", ["candidate_id", "template_id"])
    def test_an_empty_id_fails_without_a_request(self, dag_runs, pihupulse_sandbox, empty):
        fields = {"candidate_id": "c12345", "template_id": "t54321", empty: "{{ '' }}"}
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningOperator(task_id="screen", **fields)
        [error] = dag_runs.run(dag).errors["screen", -1]
        assert isinstance(error, ConfigurationError)
        assert empty in str(error)
        assert pihupulse_sandbox.count() == 0


class TestMapping:
    def test_over_created_candidates(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            created = PihuPulseCreateCandidateOperator.partial(task_id="create", name="Alex").expand(
                email=["a@example.com", "b@example.com"]
            )
            PihuPulseCreateScreeningOperator.partial(
                task_id="screen", template_id="t54321", send_invitation=True
            ).expand(candidate_id=created.output.map(lambda candidate: candidate["id"]))
        run = dag_runs.run(dag)
        assert run.states("screen") == ["success", "success"]
        assert sorted(one["candidate_id"] for one in pihupulse_sandbox.invitations) == sorted(
            one["id"] for one in pihupulse_sandbox.candidates
        )

    def test_over_keyword_arguments(self, dag_runs, pihupulse_sandbox):
        first, second = pihupulse_sandbox.insert_candidates(2)
        with dag_runs.dag() as dag:

            @task
            def plan():
                return [
                    {"candidate_id": first, "template_id": "t54321"},
                    {"candidate_id": second, "template_id": "t54322"},
                ]

            PihuPulseCreateScreeningOperator.partial(task_id="screen").expand_kwargs(plan())
        run = dag_runs.run(dag)
        made = [run.xcom("screen", index) for index in (0, 1)]
        assert [(one["candidate_id"], one["template_id"]) for one in made] == [(first, "t54321"), (second, "t54322")]


@pytest.mark.parametrize("deferrable", [False, True], ids=["poking", "deferred"])
class TestWaiting:
    def test_it_returns_the_report(self, dag_runs, pihupulse_sandbox, candidate_id, deferrable):
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningOperator(
                task_id="screen",
                candidate_id=candidate_id,
                template_id="t54321",
                wait_for_completion=True,
                deferrable=deferrable,
                poke_interval=0.1,
            )
        report = dag_runs.run(dag).xcom("screen")
        [screening] = pihupulse_sandbox.screenings
        assert report["screening_id"] == screening["id"]
        assert report["score"] == screening["score"]
        assert not report.keys() & {"candidate_name", "summary"}

    def test_one_that_ends_badly_fails_without_a_retry(self, dag_runs, endless_sandbox, deferrable):
        [candidate_id] = endless_sandbox.insert_candidates(1)
        with dag_runs.dag(retries=2) as dag:
            PihuPulseCreateScreeningOperator(
                task_id="screen",
                candidate_id=candidate_id,
                template_id="t54321",
                wait_for_completion=True,
                deferrable=deferrable,
                poke_interval=0.1,
                failed_statuses="{{ ['In_Progress'] }}",
            )
        dag.render_template_as_native_obj = True
        run = dag_runs.run(dag)
        assert run.state == "failed"
        [error] = run.errors["screen", -1]
        assert isinstance(error, ScreeningFailedError)
        assert list(error.statuses.values()) == ["in_progress"]
        assert len(endless_sandbox.screenings) == 1


class Stranded(PihuPulseCreateScreeningOperator):
    """Is deferred where no triggerer runs, until Airflow itself ends that."""

    def execute(self, context):
        try:
            return super().execute(context)
        except TaskDeferred:
            time.sleep(1)
            return self.resume_execution("__fail__", {"error": "Trigger timeout"}, context)


class TestWithoutATriggerer:
    def strand(self, dag_runs, candidate_id):
        with dag_runs.dag() as dag:
            Stranded(
                task_id="screen",
                candidate_id=candidate_id,
                template_id="t54321",
                wait_for_completion=True,
                deferrable=True,
            )
        return dag_runs.run(dag)

    def test_a_screening_that_is_completed_by_then_gives_its_report(self, dag_runs, pihupulse_sandbox, candidate_id):
        report = self.strand(dag_runs, candidate_id).xcom("screen")
        assert [report["screening_id"]] == [one["id"] for one in pihupulse_sandbox.screenings]

    def test_one_that_is_not_times_out(self, dag_runs, endless_sandbox):
        run = self.strand(dag_runs, endless_sandbox.insert_candidates(1)[0])
        assert run.states("screen") == ["failed"]
        assert len(endless_sandbox.screenings) == 1
