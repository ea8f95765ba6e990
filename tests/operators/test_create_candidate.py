"""Creating a candidate."""

from __future__ import annotations

import pytest
from airflow.sdk import task

from pihupulse_provider.creating.errors import InvalidCandidateError
from pihupulse_provider.operators.candidates import PihuPulseCreateCandidateOperator
from tests.operators.people import ALEX, JANE, holds_any

PUBLIC = {"id", "status", "created_at", "updated_at"}


class TestXCom:
    def test_it_is_the_candidate_without_the_personal_fields(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator(task_id="create", **ALEX)
        run = dag_runs.run(dag)
        [made] = pihupulse_sandbox.candidates
        assert {name: made[name] for name in ("name", "email", "phone")} == {
            name: ALEX[name] for name in ("name", "email", "phone")
        }
        assert run.xcom("create")["id"] == made["id"]
        assert {name for name, value in run.xcom("create").items() if value is not None} == PUBLIC

    def test_include_personal_adds_the_rest(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator(task_id="create", include_personal=True, **ALEX)
        made = dag_runs.run(dag).xcom("create")
        assert made.items() >= {name: ALEX[name] for name in ("name", "email", "phone")}.items()

    def test_none_is_pushed_when_that_is_not_wanted(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator(task_id="create", do_xcom_push=False, **ALEX)
        run = dag_runs.run(dag)
        assert run.state == "success"
        assert run.xcom("create") is None

    def test_the_id_can_be_handed_on(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:

            @task
            def see(candidate_id):
                return candidate_id

            see(PihuPulseCreateCandidateOperator(task_id="create", **ALEX).output["id"])
        assert dag_runs.run(dag).xcom("see") == pihupulse_sandbox.candidates[0]["id"]


class TestFields:
    def test_all_are_templated(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator(
                task_id="create",
                pihupulse_conn_id="{{ params.connection }}",
                **{name: f"{{{{ params.{name} }}}}" for name in ALEX},
            )
        run = dag_runs.run(dag, {**ALEX, "connection": "pihupulse_default"})
        assert run.rendered("create")["pihupulse_conn_id"] == "pihupulse_default"
        assert pihupulse_sandbox.candidates[0]["email"] == ALEX["email"]

    def test_they_can_come_from_another_task(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:

            @task(multiple_outputs=True)
            def person():
                return ALEX

            given = person()
            PihuPulseCreateCandidateOperator(task_id="create", **{name: given[name] for name in ALEX})
        run = dag_runs.run(dag)
        assert pihupulse_sandbox.candidates[0]["email"] == ALEX["email"]
        assert not holds_any(run.rendered("create"), ALEX)

    def test_optional_ones_may_be_left_out_or_be_none(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator(task_id="create", name="Alex", email="alex@example.com", phone=None)
        assert dag_runs.run(dag).state == "success"

    @pytest.mark.parametrize("wrong", [{"email": "Alex Johnson"}, {"phone": "Alex"}, {"resume_url": "alex.pdf"}])
    def test_bad_ones_fail_by_name_without_a_request(self, dag_runs, pihupulse_sandbox, wrong):
        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator(task_id="create", **{**ALEX, **wrong})
        run = dag_runs.run(dag)
        [error] = run.errors["create", -1]
        assert isinstance(error, InvalidCandidateError)
        assert [problem.field for problem in error.problems] == list(wrong)
        assert not holds_any(str(error), ALEX)
        assert pihupulse_sandbox.count() == 0


class TestPrivacy:
    def test_what_they_are_rendered_to_is_not_stored(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator(task_id="create", **{name: f"{{{{ params.{name} }}}}" for name in ALEX})
        run = dag_runs.run(dag, ALEX)
        assert run.rendered("create") == {
            **dict.fromkeys(ALEX, "[personal data]"),
            "pihupulse_conn_id": "pihupulse_default",
        }

    def test_nor_when_mapped(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:

            @task
            def people():
                return [ALEX, JANE]

            PihuPulseCreateCandidateOperator.partial(task_id="create").expand_kwargs(people())
        run = dag_runs.run(dag)
        assert run.states("create") == ["success", "success"]
        assert not any(holds_any(run.rendered("create", index), ALEX, JANE) for index in (0, 1))


class TestMapping:
    def test_over_literals(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator.partial(task_id="create", name="Alex Johnson").expand(
                email=["a@example.com", "b@example.com"]
            )
        run = dag_runs.run(dag)
        emails = {one["id"]: one["email"] for one in pihupulse_sandbox.candidates}
        assert [emails[run.xcom("create", index)["id"]] for index in (0, 1)] == ["a@example.com", "b@example.com"]

    def test_over_another_tasks_output(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:

            @task
            def emails():
                return ["a@example.com", "b@example.com"]

            PihuPulseCreateCandidateOperator.partial(task_id="create", name="Alex").expand(email=emails())
        run = dag_runs.run(dag)
        assert sorted(one["email"] for one in pihupulse_sandbox.candidates) == ["a@example.com", "b@example.com"]
        assert run.rendered("create", 0)["email"] == "[personal data]"

    def test_with_a_phone_number_from_another_task(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:

            @task
            def switchboard():
                return ALEX["phone"]

            PihuPulseCreateCandidateOperator.partial(task_id="create", name="Alex", phone=switchboard()).expand(
                email=["a@example.com", "b@example.com"]
            )
        run = dag_runs.run(dag)
        assert run.states("create") == ["success", "success"]
        assert {one["phone"] for one in pihupulse_sandbox.candidates} == {ALEX["phone"]}


class TestAlerts:
    """Airflow mails a failed task's ``email``, which here is the candidate's."""

    @pytest.fixture
    def mails(self, monkeypatch):
        sent = []
        monkeypatch.setattr("tests.operators.people.send_mail", lambda to, *_args, **_rest: sent.append(to))
        monkeypatch.setenv("AIRFLOW__EMAIL__EMAIL_BACKEND", "tests.operators.people.send_mail")
        return sent

    def test_a_failure_does_not_mail_the_candidate(self, dag_runs, pihupulse_sandbox, mails):
        with dag_runs.dag(email_on_failure=True, email_on_retry=True, retries=1) as dag:
            PihuPulseCreateCandidateOperator(task_id="create", **{**ALEX, "phone": "Alex"})
        assert dag_runs.run(dag).state == "failed"
        assert dag.get_task("create").email_on_failure is False
        assert mails == []

    def test_the_teams_address_does_not_become_a_mapped_candidates(self, dag_runs, pihupulse_sandbox, mails):
        with dag_runs.dag(email="team@example.com", email_on_failure=True) as dag:
            PihuPulseCreateCandidateOperator.partial(task_id="create", name="Alex").expand(email=["a@example.com"])
        assert dag_runs.run(dag).state == "success"
        assert [one["email"] for one in pihupulse_sandbox.candidates] == ["a@example.com"]
