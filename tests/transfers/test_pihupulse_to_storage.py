"""Everything of PihuPulse in files."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta

import duckdb
import pyarrow.parquet
import pytest

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.exporting.atomic_file import StorageError
from pihupulse_provider.transfers.pihupulse_to_storage import PihuPulseToStorageOperator


def export(dag_runs, path, **arguments):
    with dag_runs.dag() as dag:
        PihuPulseToStorageOperator(task_id="export", path=str(path), retries=0, **arguments)
    return dag_runs.run(dag)


def listed(candidate):
    return {key: candidate[key] for key in ("id", "name", "email", "phone", "status", "created_at", "updated_at")}


@pytest.fixture
def candidates(pihupulse_sandbox):
    pihupulse_sandbox.insert_candidates(230)
    return pihupulse_sandbox.candidates


def by_id(rows):
    return sorted(rows, key=lambda row: row["id"])


class TestCandidates:
    def test_json_lines_hold_what_the_service_sent(self, dag_runs, candidates, tmp_path):
        path = tmp_path / "candidates.jsonl"
        run = export(dag_runs, path, resource="candidates")
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert by_id(rows) == by_id(map(listed, candidates))
        assert run.xcom("export")["rows"] == 230
        assert run.xcom("export")["requests"] == 3 + 3

    def test_details_are_one_request_each(self, dag_runs, candidates, tmp_path):
        path = tmp_path / "candidates.jsonl"
        run = export(dag_runs, path, resource="candidates", detail=True)
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert by_id(rows) == by_id(candidates)
        assert run.xcom("export")["requests"] == 3 + 3 + 230

    def test_csv_has_a_column_for_each_documented_field(self, dag_runs, candidates, tmp_path):
        path = tmp_path / "candidates.csv"
        export(dag_runs, path, resource="candidates", detail=True)
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == [
            "id",
            "name",
            "email",
            "phone",
            "status",
            "resume_url",
            "skills",
            "experience_years",
            "education",
            "screenings",
            "created_at",
            "updated_at",
        ]
        first = by_id(candidates)[0]
        assert json.loads(by_id(rows)[0]["education"]) == first["education"]

    def test_parquet_has_types(self, dag_runs, candidates, tmp_path):
        path = tmp_path / "candidates.parquet"
        export(dag_runs, path, resource="candidates", detail=True)
        query = f"SELECT count(*), typeof(min(created_at)), any_value(education[1].year) FROM '{path}'"
        [(count, moment, year)] = duckdb.sql(query).fetchall()
        assert (count, moment, type(year)) == (230, "TIMESTAMP WITH TIME ZONE", int)

    def test_an_archived_one_is_left_out_on_demand(self, dag_runs, candidates, pihupulse_sandbox, tmp_path):
        pihupulse_sandbox.archive(candidates[0]["id"])
        everybody = export(dag_runs, tmp_path / "all.jsonl", resource="candidates")
        active = export(dag_runs, tmp_path / "active.jsonl", resource="candidates", status="active")
        assert (everybody.xcom("export")["rows"], active.xcom("export")["rows"]) == (230, 229)

    def test_the_watermark_of_one_run_makes_the_next_one_incremental(
        self, dag_runs, candidates, pihupulse_sandbox, tmp_path
    ):
        pihupulse_sandbox.advance(3600)
        first = export(dag_runs, tmp_path / "1.jsonl", resource="candidates", updated_since="{{ params.get('since') }}")
        pihupulse_sandbox.advance(3600)
        new = pihupulse_sandbox.insert_candidates(2)
        pihupulse_sandbox.archive(candidates[7]["id"])
        since = first.xcom("export")["watermark"]
        second = export(dag_runs, tmp_path / "2.jsonl", resource="candidates", updated_since=since, detail=True)
        rows = [json.loads(line) for line in (tmp_path / "2.jsonl").read_text().splitlines()]
        assert {row["id"] for row in rows} == {*new, candidates[7]["id"]}
        assert second.xcom("export")["requests"] == 3 + 3 + 3
        moved = datetime.fromisoformat(second.xcom("export")["watermark"]) - datetime.fromisoformat(since)
        assert moved >= timedelta(hours=1) - timedelta(seconds=2)


class TestScreeningsAndReports:
    @pytest.fixture
    def screenings(self, candidates, pihupulse_sandbox):
        ids = pihupulse_sandbox.insert_screenings([one["id"] for one in candidates[:150]])
        for identifier in ids:
            pihupulse_sandbox.put(identifier, "pending")
        for identifier in ids[:40]:
            pihupulse_sandbox.complete(identifier, 77)
        return ids

    def test_all_screenings(self, dag_runs, screenings, tmp_path):
        path = tmp_path / "screenings.parquet"
        export(dag_runs, path, resource="screenings")
        assert sorted(pyarrow.parquet.read_table(path)["id"].to_pylist()) == sorted(screenings)

    def test_reports_of_the_completed_ones(self, dag_runs, screenings, tmp_path):
        path = tmp_path / "reports.jsonl"
        run = export(dag_runs, path, resource="reports")
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert {row["screening_id"] for row in rows} == set(screenings[:40])
        assert run.xcom("export")["requests"] == 2 + 3 + 40

    def test_a_report_that_is_not_ready_holds_the_watermark_back(
        self, dag_runs, screenings, pihupulse_sandbox, tmp_path
    ):
        completed_at = next(one["completed_at"] for one in pihupulse_sandbox.screenings if one["completed_at"])
        pihupulse_sandbox.advance(7200)
        pihupulse_sandbox.fail_next("error", path="/screenings/*/report", status=404)
        run = export(dag_runs, tmp_path / "reports.jsonl", resource="reports")
        assert run.xcom("export")["rows"] == 39
        watermark = datetime.fromisoformat(run.xcom("export")["watermark"])
        assert watermark - datetime.fromisoformat(completed_at) <= timedelta(seconds=2)


def test_templates(dag_runs, pihupulse_sandbox, tmp_path):
    path = tmp_path / "templates.csv"
    export(dag_runs, path, resource="templates")
    with path.open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["t54321", "t54322", "t54323"]


class TestAtomicity:
    def test_a_failure_leaves_the_earlier_file_and_nothing_else(
        self, dag_runs, candidates, pihupulse_sandbox, tmp_path
    ):
        path = tmp_path / "candidates.jsonl"
        path.write_text("earlier")
        pihupulse_sandbox.fail("error", status=401)
        assert export(dag_runs, path, resource="candidates").state == "failed"
        assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("candidates.jsonl", "earlier")]

    def test_a_place_that_can_not_be_written_is_named(self, dag_runs, candidates):
        run = export(dag_runs, "/proc/nowhere/candidates.jsonl", resource="candidates")
        error = run.errors["export", -1][0]
        assert isinstance(error, StorageError)
        assert "/proc/nowhere/candidates.jsonl can't be written" in str(error)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"resource": "jobs", "path": "x.csv"}, "candidates, screenings, reports, templates"),
        ({"resource": "reports", "path": "x.csv", "detail": True}, "candidates only"),
        ({"resource": "screenings", "path": "x.csv", "status": "active"}, "candidates only"),
        ({"resource": "candidates", "path": "x.csv", "status": "gone"}, "active, archived, all"),
        ({"resource": "candidates", "path": "x.xlsx"}, ".jsonl, .csv, .parquet"),
    ],
)
def test_arguments_that_can_not_work_are_refused_where_the_dag_is_written(arguments, said):
    with pytest.raises(ConfigurationError, match=said):
        PihuPulseToStorageOperator(task_id="wrong", **arguments)
