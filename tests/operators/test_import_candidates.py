"""Importing candidates and creating screenings in bulk, as tasks of a DAG."""

from __future__ import annotations

import json
import stat

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS
from airflow.sdk import task

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.creating.errors import RejectedRowsError
from pihupulse_provider.operators.candidates import PihuPulseImportCandidatesOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningsOperator

CSV = "full name,mail,phone\nAda Lovelace,ada.lovelace@example.com,+15550000001\nAlan Turing,alan.turing@example.com,\n"
FIELD_MAP = {"name": "full name", "email": "mail"}
PEOPLE = [{"name": "Ada Lovelace", "email": "ada.lovelace@example.com"}]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(CSV)
    return path


def json_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_is_imported_and_its_candidates_are_screened(dag_runs, pihupulse_sandbox, source, tmp_path):
    with dag_runs.dag() as dag:
        candidates = PihuPulseImportCandidatesOperator(
            task_id="candidates",
            source="{{ params.source }}",
            field_map=FIELD_MAP,
            results_path=f"file://{tmp_path}/out/candidates.jsonl",
        )
        PihuPulseCreateScreeningsOperator(
            task_id="screenings",
            candidate_ids=candidates.output,
            template_id="t54321",
            send_invitation=True,
            results_path=f"{tmp_path}/screenings.jsonl",
        )
    run = dag_runs.run(dag, {"source": str(source)})
    id_of = {one["email"]: one["id"] for one in pihupulse_sandbox.candidates}
    ids = [id_of[address] for address in ("ada.lovelace@example.com", "alan.turing@example.com")]
    assert json_lines(tmp_path / "out" / "candidates.jsonl") == [
        {"row": n, "status": "created", "id": identifier} for n, identifier in enumerate(ids, 1)
    ]
    assert sorted(one["candidate_id"] for one in pihupulse_sandbox.invitations) == sorted(ids)
    screening_of = {one["candidate_id"]: one["id"] for one in pihupulse_sandbox.screenings}
    assert [one["id"] for one in json_lines(tmp_path / "screenings.jsonl")] == [screening_of[one] for one in ids]
    summary = run.xcom("candidates")
    unset = set() if AIRFLOW_V_3_1_PLUS else {"rejects_path"}
    assert summary.keys() | unset == {
        "rows",
        "created",
        "existing",
        "duplicates",
        "rejected",
        "requests",
        "seconds",
        "results_path",
        "rejects_path",
    }
    assert (summary["rows"], summary["created"], run.rendered("candidates")["source"]) == (2, 2, str(source))


def test_a_list_is_not_stored_among_the_rendered_templates(dag_runs, pihupulse_sandbox):
    with dag_runs.dag() as dag:
        PihuPulseImportCandidatesOperator(task_id="literal", source=PEOPLE)
    run = dag_runs.run(dag)
    assert run.xcom("literal")["created"] == 1
    assert "ada" not in json.dumps(run.rendered("literal")).casefold()


def test_a_list_may_come_from_another_task(dag_runs, pihupulse_sandbox):
    with dag_runs.dag() as dag:

        @task
        def people():
            return PEOPLE

        PihuPulseImportCandidatesOperator(task_id="xcom", source=people())
    run = dag_runs.run(dag)
    assert run.xcom("xcom")["created"] == 1
    assert "ada" not in json.dumps(run.rendered("xcom")).casefold()


def test_a_column_of_field_map_that_no_row_has_is_warned_of(dag_runs, pihupulse_sandbox, capfd):
    """JSON may leave out what is empty, so it is no error; a typing mistake should not go unseen, though."""
    people = [{**PEOPLE[0], "mobile": "+15550000001"}]
    with dag_runs.dag() as dag:
        PihuPulseImportCandidatesOperator(task_id="typo", source=people, field_map={"phone": "mobil"})
        PihuPulseImportCandidatesOperator(
            task_id="right", source=people, field_map={"phone": "mobile"}, on_existing="create"
        )
    dag_runs.run(dag)
    said = "".join(capfd.readouterr())
    assert said.count("field_map names") == said.count("No row had 'mobil', which field_map names") == 1


@pytest.mark.parametrize("is_file", [True, False])
def test_columns_of_other_names_are_told_once_and_how_to_map_them(dag_runs, pihupulse_sandbox, tmp_path, is_file):
    people = [{"Full name": f"Ada {n}", "Mail": f"ada.{n}@example.com"} for n in range(12)]
    path = tmp_path / "people.jsonl"
    path.write_text("\n".join(map(json.dumps, people)))
    rejects = tmp_path / "rejects.jsonl"
    with dag_runs.dag() as dag:
        PihuPulseImportCandidatesOperator(
            task_id="import", source=str(path) if is_file else people, rejects_path=str(rejects)
        )
    [error] = dag_runs.run(dag).errors["import", -1]
    assert isinstance(error, RejectedRowsError)
    said = str(error)
    assert said.count("email is missing") == said.count("name is missing") == 1
    assert "No row has a column 'name' or 'email'. Say in field_map which column each field is in" in said
    assert "; the rows have 'Full name', 'Mail'; rejects_path" in said
    assert len(json_lines(rejects)) == 24
    assert "ada" not in said.casefold()


def test_one_task_for_each_of_several_files(dag_runs, pihupulse_sandbox, source, tmp_path):
    other = tmp_path / "more.jsonl"
    other.write_text(json.dumps({"full name": "Grace Hopper", "mail": "grace.hopper@example.com"}))
    with dag_runs.dag() as dag:
        PihuPulseImportCandidatesOperator.partial(task_id="each", field_map=FIELD_MAP).expand(
            source=[str(source), str(other)]
        )
    run = dag_runs.run(dag)
    assert [run.xcom("each", index)["created"] for index in (0, 1)] == [2, 1]


def test_rejects_are_written_before_the_task_fails(dag_runs, pihupulse_sandbox, tmp_path):
    path = tmp_path / "rejects.jsonl"
    with dag_runs.dag() as dag:
        PihuPulseImportCandidatesOperator(
            task_id="bad", source=[{"name": "Ada", "email": "ada"}], rejects_path=str(path), retries=0
        )
    run = dag_runs.run(dag)
    assert isinstance(run.errors["bad", -1][0], RejectedRowsError)
    assert [(row["row"], row["field"]) for row in json_lines(path)] == [(1, "email")]
    assert pihupulse_sandbox.requests == []


BAD_ROWS = [
    {"name": "half an emoji \ud83d", "email": "a@example.com"},
    {"name": 10**5000, "email": "b@example.com"},
    {"name": "Ana", "email": "c@example.com", "phone": 301234567.5},
    {"name": b"\xff", "email": "d@example.com"},
    {"name": ["Ana", "Costa"], "email": "e@example.com"},
    {"name": True, "email": "f@example.com"},
    "Ana",
]


def test_no_row_ends_the_run(dag_runs, pihupulse_sandbox, tmp_path):
    with dag_runs.dag() as dag:

        @task
        def nothing():
            return None

        class FromProcess(PihuPulseImportCandidatesOperator):
            def execute(self, context):
                self.source = [PEOPLE[0], *BAD_ROWS, {**PEOPLE[0], "email": "zoe@example.com", "phone": 15417543010.0}]
                return super().execute(context)

        FromProcess(
            task_id="rows",
            source=PEOPLE,
            max_rejects=len(BAD_ROWS),
            phone_region="us",
            results_path=f"{tmp_path}/results.jsonl",
            rejects_path=f"{tmp_path}/rejects.jsonl",
        )
        PihuPulseImportCandidatesOperator(task_id="none", source=nothing(), retries=0)
    run = dag_runs.run(dag)
    assert (run.xcom("rows")["created"], run.xcom("rows")["rejected"]) == (2, len(BAD_ROWS))
    assert {row["row"] for row in json_lines(tmp_path / "rejects.jsonl")} == set(range(2, 2 + len(BAD_ROWS)))
    assert {one["phone"] for one in pihupulse_sandbox.candidates if one.get("phone")} == {"+15417543010"}
    assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.glob("*.jsonl")} == {0o600}
    [error] = run.errors["none", -1]
    assert "give a path, or a list" in str(error)


def test_optional_fields_and_special_domains_by_options(dag_runs, pihupulse_sandbox, capfd):
    """What was left out is said, by its field and number, and not by its value."""
    with dag_runs.dag() as dag:
        PihuPulseImportCandidatesOperator(
            task_id="lenient",
            source=[{"name": "Ana", "email": "ana@printer.local", "phone": "N/A", "resume_url": "-"}],
            drop_invalid_optional=True,
            allow_special_domains=True,
        )
    assert dag_runs.run(dag).xcom("lenient")["created"] == 1
    assert [one["email"] for one in pihupulse_sandbox.candidates] == ["ana@printer.local"]
    said = "".join(capfd.readouterr())
    assert "1 row had no valid phone, which was left out." in said
    assert "1 row had no valid resume_url, which was left out." in said


def test_a_file_as_excel_saves_it(dag_runs, pihupulse_sandbox, tmp_path):
    path = tmp_path / "People.CSV"
    path.write_bytes(
        "Name;E-Mail;Telefon;;\r\nÅsa Öberg;asa@example.com;'+15417543010;;\r\n;;;;\r\nBo;bo@example.com\r\n".encode(
            "cp1252"
        )
    )
    with dag_runs.dag() as dag:
        PihuPulseImportCandidatesOperator(
            task_id="excel",
            source=str(path),
            field_map={"email": "E-Mail", "phone": "Telefon"},
            encoding="cp1252",
            delimiter=";",
        )
    assert dag_runs.run(dag).xcom("excel")["created"] == 2
    assert {(one["name"], one["phone"]) for one in pihupulse_sandbox.candidates} == {
        ("Åsa Öberg", "+15417543010"),
        ("Bo", None),
    }


def test_screenings_take_ids_objects_and_single_ids(dag_runs, pihupulse_sandbox):
    first, second, third = pihupulse_sandbox.insert_candidates(3)
    with dag_runs.dag() as dag:
        for name, ids in {"ids": [first], "objects": [{"id": second}], "single": third}.items():
            PihuPulseCreateScreeningsOperator(task_id=name, candidate_ids=ids, template_id="t54321")
    run = dag_runs.run(dag)
    assert run.state == "success"
    assert {one["candidate_id"] for one in pihupulse_sandbox.screenings} == {first, second, third}
    assert pihupulse_sandbox.invitations == []


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"on_existing": "update"}, "skip, create, fail"),
        ({"max_rejects": -1}, "share of them below 1"),
        ({"max_rejects": 1.5}, "share of them below 1"),
        ({"format": "xlsx"}, "csv, jsonl, parquet"),
        ({"encoding": "klingon"}, "Python does not know: name one such as 'utf-8'"),
        ({"field_map": "name=Name"}, "field_map is a str: write it as {field: column}"),
        ({"delimiter": "||"}, "one character"),
        ({"field_map": {"mail": "email"}}, "name, email, phone, resume_url"),
    ],
)
def test_arguments_that_can_not_work_are_refused_where_the_dag_is_written(argument, said):
    with pytest.raises(ConfigurationError, match=said):
        PihuPulseImportCandidatesOperator(task_id="wrong", source="people.csv", **argument)


def test_results_of_two_imports_in_one_file_are_screened_alike(dag_runs, pihupulse_sandbox, tmp_path):
    ids = pihupulse_sandbox.insert_candidates(2)
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps({"row": 1, "status": "created", "id": one}) + "\n" for one in ids))
    with dag_runs.dag() as dag:
        PihuPulseCreateScreeningsOperator(task_id="screen", candidate_ids=str(path), template_id="t54321")
    assert dag_runs.run(dag).xcom("screen")["created"] == 2
