"""A task fails at once where trying again would end the same way."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from pihupulse_provider.api import RetryPolicy
from pihupulse_provider.api.errors import ConfigurationError, NotFoundError, ServerError, UnauthorizedError
from pihupulse_provider.operators.candidates import PihuPulseGetCandidateOperator, PihuPulseImportCandidatesOperator
from pihupulse_provider.operators.reports import PihuPulseGetReportOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningOperator
from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor

RETRIES = 2


class TestWithoutARetry:
    @pytest.mark.parametrize(
        ("task", "missing"),
        [
            (lambda: PihuPulseGetCandidateOperator(task_id="t", candidate_id="c404", retries=RETRIES), "c404"),
            (lambda: PihuPulseGetReportOperator(task_id="t", screening_id="s404", retries=RETRIES), "s404"),
        ],
    )
    def test_something_missing_is_named(self, dag_runs, pihupulse_sandbox, task, missing):
        with dag_runs.dag() as dag:
            task()
        [error] = dag_runs.run(dag).errors["t", -1]
        assert isinstance(error, NotFoundError)
        assert isinstance(error, AirflowFailException)
        assert missing in error.asked_for
        assert pihupulse_sandbox.count() == 1

    def test_a_wrong_argument(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningOperator(task_id="t", candidate_id=" ", template_id="t54321", retries=RETRIES)
        [error] = dag_runs.run(dag).errors["t", -1]
        assert isinstance(error, ConfigurationError)
        assert isinstance(error, AirflowFailException)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("name;email\nAna;ana@example.com\n", "one field with ';' in it: set delimiter to that"),
            ("Full name,email\nAna,ana@example.com\n", "has no column 'name'"),
            ("Applicants,\nname,email\n", "names 1 other: say which in field_map, or take out what is above"),
        ],
    )
    def test_a_file_that_is_not_as_the_arguments_say(self, dag_runs, pihupulse_sandbox, tmp_path, text, said):
        path = tmp_path / "people.csv"
        path.write_text(text)
        with dag_runs.dag() as dag:
            PihuPulseImportCandidatesOperator(task_id="t", source=str(path), retries=RETRIES)
        [error] = dag_runs.run(dag).errors["t", -1]
        assert isinstance(error, AirflowFailException)
        assert str(error).startswith(f"{path}: ")
        assert said in str(error)

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_a_key_that_a_sensor_can_not_use(self, dag_runs, pihupulse_sandbox, deferrable):
        pihupulse_sandbox.fail("error", status=401)
        with dag_runs.dag() as dag:
            PihuPulseScreeningSensor(
                task_id="t",
                screening_ids="s67890",
                timeout=5,
                poke_interval=0.1,
                deferrable=deferrable,
                retries=RETRIES,
            )
        [error] = dag_runs.run(dag).errors["t", -1]
        assert isinstance(error, UnauthorizedError)
        assert isinstance(error, AirflowFailException)
        assert "The key is the password of the connection 'pihupulse_default': change it under Admin" in str(error)


def test_what_may_pass_is_tried_again(dag_runs, pihupulse_sandbox, monkeypatch):
    monkeypatch.setattr("pihupulse_provider.api.client.RetryPolicy", lambda: RetryPolicy(attempts=1))
    with dag_runs.dag() as dag:
        PihuPulseGetCandidateOperator(task_id="t", candidate_id="c12345", retries=1)
    pihupulse_sandbox.fail("error", status=503)
    run = dag_runs.run(dag)
    assert run.errors["t", -1]
    assert all(isinstance(error, ServerError) for error in run.errors["t", -1])
    assert not any(isinstance(error, AirflowFailException) for error in run.errors["t", -1])
