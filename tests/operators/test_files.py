"""No file that a task writes takes the place of one that it reads, or that another writes."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import task, task_group

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.operators.candidates import PihuPulseImportCandidatesOperator
from pihupulse_provider.operators.events import PihuPulseReadEventsOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningsOperator
from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor
from pihupulse_provider.transfers.pihupulse_to_storage import PihuPulseToStorageOperator

PEOPLE = [{"name": "Ada Lovelace", "email": "ada@example.com"}]
WRITERS = {
    "results": (PihuPulseImportCandidatesOperator, {"source": PEOPLE}, "results_path"),
    "rejects": (PihuPulseImportCandidatesOperator, {"source": PEOPLE}, "rejects_path"),
    "screenings": (
        PihuPulseCreateScreeningsOperator,
        {"candidate_ids": ["c1"], "template_id": "t54321"},
        "results_path",
    ),
    "events": (PihuPulseReadEventsOperator, {"consumer": "c"}, "results_path"),
    "outcomes": (PihuPulseScreeningSensor, {"screening_ids": ["s1"]}, "results_path"),
    "export": (PihuPulseToStorageOperator, {"resource": "candidates"}, "path"),
}
SHARED = ["/data/out.jsonl", "s3://bucket/{{ run_id }}/out.jsonl", "/data/{{ ds }}/{{ dag_run.run_type }}.jsonl"]
OWN = ["/data/{{ ti.map_index }}.jsonl", "/data/{{ run_id }}/{{ task_instance.map_index }}.jsonl", "{{ of_mine() }}"]


@pytest.mark.parametrize("writer", WRITERS)
class TestMappedTasks:
    """Each instance needs a file of its own: the last one to end would leave nothing of the others."""

    @pytest.mark.parametrize("path", SHARED)
    def test_one_file_for_all_is_refused_when_the_dag_is_parsed(self, dag_runs, writer, path):
        operator, _, field = WRITERS[writer]
        with dag_runs.dag(), pytest.raises(ConfigurationError, match=f"{field} is the same for each instance"):
            operator.partial(task_id="t", **{field: path})

    @pytest.mark.parametrize("path", SHARED)
    def test_also_in_a_mapped_task_group(self, dag_runs, writer, path):
        operator, arguments, field = WRITERS[writer]

        @task_group
        def group(number):
            operator(task_id="t", **{**arguments, field: path})

        with dag_runs.dag(), pytest.raises(ConfigurationError, match=r"put \{\{ ti.map_index \}\} into it"):
            group.expand(number=[1, 2])

    @pytest.mark.parametrize("path", [*OWN, None])
    def test_a_file_of_its_own_is_taken(self, dag_runs, writer, path):
        operator, arguments, field = WRITERS[writer]
        if path is None and field == "path":
            return

        @task_group
        def group(number):
            operator(task_id="t", **{**arguments, field: path})

        with dag_runs.dag():
            [(name, value), *others] = arguments.items()
            operator.partial(task_id="t", **dict(others), **{field: path}).expand(**{name: [value, value]})
            group.expand(number=[1, 2])

    def test_one_task_alone_may_write_any(self, dag_runs, writer):
        operator, arguments, field = WRITERS[writer]
        with dag_runs.dag():
            operator(task_id="t", **{**arguments, field: SHARED[0]})


def test_mapped_imports_with_a_file_each_are_all_screened(dag_runs, pihupulse_sandbox, tmp_path):
    with dag_runs.dag() as dag:
        imported = PihuPulseImportCandidatesOperator.partial(
            task_id="import", results_path=str(tmp_path / "{{ ti.map_index }}.jsonl")
        ).expand(source=[[{"name": name, "email": f"{name}@example.com"}] for name in ("ada", "bo", "cy")])
        PihuPulseCreateScreeningsOperator(
            task_id="screen", candidate_ids=imported.output["results_path"], template_id="t54321"
        )
    assert dag_runs.run(dag).xcom("screen")["created"] == 3


def test_parameters_that_are_expanded_make_a_file_for_each(dag_runs, pihupulse_sandbox, tmp_path):
    with dag_runs.dag() as dag:
        PihuPulseImportCandidatesOperator.partial(
            task_id="t", source=PEOPLE, results_path=str(tmp_path / "{{ params.region }}.jsonl")
        ).expand(params=[{"region": "de"}, {"region": "fr"}])
    assert dag_runs.run(dag).state == "success"
    assert {path.name for path in tmp_path.iterdir()} == {"de.jsonl", "fr.jsonl"}


@pytest.mark.parametrize("results", ["people.jsonl", "folder/../people.jsonl", "link.jsonl"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_results_never_take_the_place_of_the_source(dag_runs, pihupulse_sandbox, tmp_path, scheme, results):
    source = tmp_path / "people.jsonl"
    source.write_text(json.dumps(PEOPLE[0]))
    (tmp_path / "link.jsonl").symlink_to(source)
    path = f"{scheme}{tmp_path}/{results}"
    with dag_runs.dag() as dag:
        PihuPulseImportCandidatesOperator(task_id="t", source=str(source), results_path=path, retries=0)
    assert "results_path is the file that source names" in str(dag_runs.run(dag).errors["t", -1][0])
    assert json.loads(source.read_text()) == PEOPLE[0]
    assert pihupulse_sandbox.requests == []


def test_results_of_screenings_never_take_the_place_of_those_of_the_import(dag_runs, pihupulse_sandbox, tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps({"row": 1, "status": "created", "id": "c1"}))

    @task
    def paths():
        return [[str(path)]]

    with dag_runs.dag() as dag:
        PihuPulseCreateScreeningsOperator(
            task_id="t", candidate_ids=paths(), template_id="t54321", results_path=f"file://{path}", retries=0
        )
    assert "results_path is the file that candidate_ids names" in str(dag_runs.run(dag).errors["t", -1][0])
    assert pihupulse_sandbox.requests == []


def test_results_of_screenings_never_take_the_place_of_those_of_mapped_imports(dag_runs, pihupulse_sandbox, tmp_path):
    path = str(tmp_path / "{}.jsonl")
    with dag_runs.dag() as dag:
        imported = PihuPulseImportCandidatesOperator.partial(
            task_id="import", results_path=path.format("{{ ti.map_index }}")
        ).expand(source=[PEOPLE, []])
        PihuPulseCreateScreeningsOperator(
            task_id="t",
            candidate_ids=imported.output["results_path"],
            template_id="t54321",
            results_path=path.format(0),
            retries=0,
        )
    assert "results_path is the file that candidate_ids names" in str(dag_runs.run(dag).errors["t", -1][0])


def test_outcomes_never_take_the_place_of_the_results_that_name_the_screenings(dag_runs, pihupulse_sandbox, tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps({"row": 1, "status": "created", "id": "s67890"}))
    before = path.read_text()
    with dag_runs.dag() as dag:
        PihuPulseScreeningSensor(
            task_id="t", screening_ids={"results_path": str(path)}, results_path=f"file://{path}", timeout=1, retries=0
        )
    assert "results_path is the file that screening_ids names" in str(dag_runs.run(dag).errors["t", -1][0])
    assert path.read_text() == before
    assert pihupulse_sandbox.requests == []


@pytest.mark.parametrize("rejects", ["file:///data/out.jsonl", "/data//out.jsonl", "/data/x/../out.jsonl"])
def test_results_and_rejects_are_two_files_however_they_are_written(rejects):
    with pytest.raises(ConfigurationError, match="results_path and rejects_path are the same"):
        PihuPulseImportCandidatesOperator(
            task_id="t", source=PEOPLE, results_path="/data/out.jsonl", rejects_path=rejects
        )
