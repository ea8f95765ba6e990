"""Everything is checked before anything is sent, and what is literal when the DAG is parsed."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk.io import store
from fsspec.implementations.memory import MemoryFileSystem

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.exporting.atomic_file import StorageError
from pihupulse_provider.operators.base import texts
from pihupulse_provider.operators.candidates import PihuPulseImportCandidatesOperator
from pihupulse_provider.operators.events import PihuPulseReadEventsOperator
from pihupulse_provider.operators.screenings import (
    PihuPulseCreateScreeningOperator,
    PihuPulseCreateScreeningsOperator,
)
from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor
from pihupulse_provider.transfers.pihupulse_to_storage import PihuPulseToStorageOperator

PEOPLE = [{"name": "Ada Lovelace", "email": "ada@example.com"}]
SCREENING = {"task_id": "t", "candidate_id": "c12345", "template_id": "t54321"}


@pytest.fixture
def object_store(monkeypatch):
    """The class of an empty object store, which Airflow reaches at ``memory://``."""
    monkeypatch.setattr(store, "_STORE_CACHE", {**store._STORE_CACHE})
    store.attach("memory", fs=MemoryFileSystem())
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    return MemoryFileSystem


class TestDurations:
    def test_default_args_may_give_them_as_timedelta(self, dag_runs, pihupulse_sandbox):
        candidate_id = pihupulse_sandbox.insert_candidates(1)[0]
        durations = {"timeout": timedelta(minutes=5), "poke_interval": timedelta(milliseconds=200)}
        with dag_runs.dag(**durations) as dag:
            PihuPulseCreateScreeningOperator(
                **{**SCREENING, "candidate_id": candidate_id}, send_invitation=True, wait_for_completion=True
            )
        assert dag_runs.run(dag).state == "success"
        assert len(pihupulse_sandbox.invitations) == 1

    @pytest.mark.parametrize("argument", ["timeout", "poke_interval"])
    @pytest.mark.parametrize("value", ["5 minutes", 0, -1, float("nan"), True, timedelta(0)])
    def test_what_is_none_is_refused_when_the_dag_is_parsed(self, argument, value):
        with pytest.raises(ConfigurationError, match=f"{argument} must be a number of seconds above 0 or a timedelta"):
            PihuPulseCreateScreeningOperator(**SCREENING, **{argument: value})

    def test_a_deadline_of_a_sensor_too(self):
        with pytest.raises(ConfigurationError, match="deadline must be"):
            PihuPulseScreeningSensor(task_id="t", screening_ids=["s1"], deadline="tomorrow")


class TestPaths:
    """Where a file can't be written is known before the first request."""

    def makers(self, path):
        return {
            "import results": lambda: PihuPulseImportCandidatesOperator(
                task_id="t", source=PEOPLE, results_path=path, retries=0
            ),
            "import rejects": lambda: PihuPulseImportCandidatesOperator(
                task_id="t", source=PEOPLE, rejects_path=path, retries=0
            ),
            "screenings": lambda: PihuPulseCreateScreeningsOperator(
                task_id="t", candidate_ids=["c12345"], template_id="t54321", results_path=path, retries=0
            ),
            "export": lambda: PihuPulseToStorageOperator(task_id="t", resource="candidates", path=path, retries=0),
            "events": lambda: PihuPulseReadEventsOperator(task_id="t", consumer="c", results_path=path, retries=0),
            "sensor": lambda: PihuPulseScreeningSensor(
                task_id="t", screening_ids=["s67890"], results_path=path, retries=0, timeout=5
            ),
        }

    TASKS = ("import results", "import rejects", "screenings", "export", "events", "sensor")

    @pytest.mark.parametrize("task", TASKS)
    def test_one_that_cannot_be_written(self, dag_runs, pihupulse_sandbox, tmp_path, task):
        (tmp_path / "file").write_text("in the way")
        with dag_runs.dag() as dag:
            self.makers(str(tmp_path / "file" / "results.jsonl"))[task]()
        [error] = dag_runs.run(dag).errors["t", -1]
        assert isinstance(error, StorageError)
        assert pihupulse_sandbox.requests == []

    @pytest.mark.parametrize("task", TASKS)
    def test_one_of_an_object_store_that_lets_nothing_be_copied(
        self, dag_runs, pihupulse_sandbox, task, object_store, monkeypatch
    ):
        """A role that may write and not read fails at once, rather than after everything was created."""

        def refuse(*_):
            raise PermissionError(13, "Access Denied")

        monkeypatch.setattr(object_store, "cp_file", refuse)
        with dag_runs.dag() as dag:
            self.makers("memory://bucket/results.jsonl")[task]()
        [error] = dag_runs.run(dag).errors["t", -1]
        assert isinstance(error, StorageError)
        assert "Access Denied" in str(error)
        assert pihupulse_sandbox.requests == []
        assert object_store.store == {}

    @pytest.mark.parametrize("task", TASKS)
    def test_an_empty_one_is_refused_when_the_dag_is_parsed(self, task):
        with pytest.raises(ConfigurationError, match=r"_path is empty: give a path|does not tell its format"):
            self.makers(" ")[task]()

    def test_one_that_is_rendered_to_nothing(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            self.makers("{{ '' }}")["import results"]()
        assert "results_path is empty" in str(dag_runs.run(dag).errors["t", -1][0])
        assert pihupulse_sandbox.requests == []

    @pytest.mark.parametrize("task", TASKS)
    def test_one_whose_file_system_is_missing(self, dag_runs, pihupulse_sandbox, task):
        with dag_runs.dag() as dag:
            self.makers("s3://bucket/results.jsonl")[task]()
        [error] = dag_runs.run(dag).errors["t", -1]
        assert isinstance(error, ConfigurationError)
        assert 'pip install "apache-airflow-providers-amazon[s3fs]"' in str(error)
        assert pihupulse_sandbox.requests == []

    def test_a_source_whose_file_system_is_missing(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseImportCandidatesOperator(task_id="t", source="gs://bucket/people.csv", retries=0)
        [error] = dag_runs.run(dag).errors["t", -1]
        assert 'pip install "apache-airflow-providers-google"' in str(error)

    def test_results_and_rejects_in_one_file(self, dag_runs, pihupulse_sandbox, tmp_path):
        path = str(tmp_path / "out.jsonl")
        with pytest.raises(ConfigurationError, match="results_path and rejects_path are the same"):
            PihuPulseImportCandidatesOperator(task_id="t", source=PEOPLE, results_path=path, rejects_path=path)
        with dag_runs.dag() as dag:
            PihuPulseImportCandidatesOperator(
                task_id="t", source=PEOPLE, results_path=path, rejects_path="{{ dag_run.conf['path'] }}"
            )
        run = dag_runs.run(dag, {"path": path})
        assert "results_path and rejects_path are the same" in str(run.errors["t", -1][0])
        assert pihupulse_sandbox.requests == []

    def test_nothing_is_left_where_only_a_check_was_made(self, dag_runs, pihupulse_sandbox, tmp_path):
        with dag_runs.dag() as dag:
            PihuPulseImportCandidatesOperator(
                task_id="t", source=[], results_path=f"{tmp_path}/out/results.jsonl", retries=0
            )
        dag_runs.run(dag)
        assert [path.name for path in (tmp_path / "out").iterdir()] in ([], ["results.jsonl"])


@pytest.mark.parametrize("value", [5, True, [5], {"failed": 1}.values()])
def test_statuses_that_are_no_texts_are_a_sentence(value):
    with pytest.raises(ConfigurationError, match="failed_statuses must be a list of texts"):
        texts("failed_statuses", value)


def test_a_country_that_there_is_not_is_told_for_a_list_too(dag_runs, pihupulse_sandbox):
    with dag_runs.dag() as dag:
        PihuPulseImportCandidatesOperator(task_id="t", source=PEOPLE, phone_region="XX")
    assert "no country" in str(dag_runs.run(dag).errors["t", -1][0])
    assert pihupulse_sandbox.requests == []


@pytest.mark.parametrize("source", ["/data/people.xlsx", "/data/people", "s3://bucket/people.json.gz"])
def test_a_source_of_an_unknown_ending_is_refused_when_the_dag_is_parsed(source):
    with pytest.raises(ConfigurationError, match="does not tell its format"):
        PihuPulseImportCandidatesOperator(task_id="t", source=source)


def test_an_argument_that_is_refused_is_told_with_its_task_once():
    """Airflow shows the end of a traceback, which is in this package, and so not the line of the DAG."""
    with pytest.raises(ConfigurationError, match=r"^Task staff: on_existing is 'x': choose one of"):
        PihuPulseImportCandidatesOperator(task_id="staff", source="people.csv", on_existing="x")
    with pytest.raises(ConfigurationError, match=r"^Task staff: results_path is the same for each instance"):
        PihuPulseImportCandidatesOperator.partial(task_id="staff", results_path="/data/results.jsonl")


def test_where_a_relative_source_was_looked_for_is_told(dag_runs):
    with dag_runs.dag() as dag:
        PihuPulseImportCandidatesOperator(task_id="t", source="data/people.csv")
    assert f"data/people.csv ({Path.cwd()}/data/people.csv for this task) can't be opened" in str(
        dag_runs.run(dag).errors["t", -1][0]
    )


@pytest.mark.parametrize(
    ("path", "said"), [("out.csv.gz", "written as they are"), ("out.xlsx", "opens a CSV file"), ("out.tsv", "csv")]
)
def test_what_an_export_can_be_written_as_instead_is_told(path, said):
    with pytest.raises(ConfigurationError, match=said):
        PihuPulseToStorageOperator(task_id="t", resource="candidates", path=path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, True, "0.5", -1, 1.5])
def test_max_rejects_that_is_no_number_of_rows_is_refused_when_the_dag_is_parsed(value):
    with pytest.raises(ConfigurationError, match="max_rejects is"):
        PihuPulseImportCandidatesOperator(task_id="candidates", source="people.csv", max_rejects=value)


def test_a_missing_pyarrow_is_named_before_the_first_request(dag_runs, pihupulse_sandbox, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with dag_runs.dag() as dag:
        PihuPulseToStorageOperator(
            task_id="t", resource="candidates", path=str(tmp_path / "candidates.parquet"), retries=0
        )
    [error] = dag_runs.run(dag).errors["t", -1]
    assert "airflow-provider-pihupulse[parquet]" in str(error)
    assert pihupulse_sandbox.requests == []
