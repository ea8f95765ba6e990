"""What tasks tell OpenLineage and Airflow's assets of what they read and write."""

from __future__ import annotations

import json
import sqlite3

import pytest
from airflow.sdk import Asset
from sqlalchemy.engine import make_url

from pihupulse_provider.operators.candidates import (
    PihuPulseCreateCandidateOperator,
    PihuPulseGetCandidateOperator,
    PihuPulseImportCandidatesOperator,
)
from pihupulse_provider.operators.lineage import Dataset, file_dataset, table_dataset
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningsOperator
from pihupulse_provider.transfers.pihupulse_to_sql import PihuPulseToSqlOperator
from pihupulse_provider.transfers.pihupulse_to_storage import PihuPulseToStorageOperator
from pihupulse_provider.transfers.sql_to_pihupulse import SqlToPihuPulseOperator

CANDIDATES = "pihupulse://pihupulse_default/candidates"


class Done:
    """Operators whose tasks have run, by what OpenLineage hears of them."""

    def __init__(self, dag_runs):
        self._dag_runs = dag_runs
        self.events = {}

    def __call__(self, operator, **arguments):
        heard = {}

        class Heard(operator):
            def execute(self, context):
                try:
                    return super().execute(context)
                finally:
                    heard["lineage"] = self.get_openlineage_facets_on_complete(None)
                    events = context["outlet_events"]
                    heard["events"] = {str(key): events[key].extra for key in events}

        with self._dag_runs.dag() as dag:
            Heard(task_id="task", retries=0, **arguments)
        self.run = self._dag_runs.run(dag)
        self.events = heard["events"]
        return heard["lineage"]


@pytest.fixture
def lineage_of(dag_runs):
    return Done(dag_runs)


@pytest.fixture
def host(pihupulse_sandbox):
    return "pihupulse://" + pihupulse_sandbox.base_url.split("/")[2]


def names(datasets):
    return [(one.namespace, one.name) for one in datasets]


def columns(dataset):
    return {
        field: [(one.name, one.field) for one in made_of.inputFields]
        for field, made_of in dataset.facets["columnLineage"].fields.items()
    }


def test_an_import_tells_of_the_file_and_which_of_its_columns_went_where(lineage_of, host, tmp_path):
    (tmp_path / "people.csv").write_text("first,last,mail\nAda,Lovelace,ada@example.com\n")
    lineage = lineage_of(
        PihuPulseImportCandidatesOperator,
        source=f"file://{tmp_path}/people.csv",
        field_map={"name": ["first", "last"], "email": "mail"},
        results_path=f"file://{tmp_path}/results.jsonl",
    )
    source = f"{tmp_path}/people.csv"
    assert names(lineage.inputs) == [("file", source)]
    assert names(lineage.outputs) == [(host, "candidates"), ("file", f"{tmp_path}/results.jsonl")]
    assert columns(lineage.outputs[0]) == {"name": [(source, "first"), (source, "last")], "email": [(source, "mail")]}
    assert lineage.outputs[0].outputFacets["outputStatistics"].rowCount == 1
    assert "Lovelace" not in repr(lineage)


def test_an_import_of_a_list_names_no_source_and_nobody(lineage_of, host, pihupulse_sandbox):
    lineage = lineage_of(PihuPulseImportCandidatesOperator, source=[{"name": "Ada", "email": "ada@example.com"}])
    assert lineage.inputs == []
    assert names(lineage.outputs) == [(host, "candidates")]
    assert "ada@" not in repr(lineage)


def test_an_import_from_a_database_tells_of_the_query_s_tables(lineage_of, host, tmp_path, monkeypatch):
    with sqlite3.connect(tmp_path / "warehouse.db") as connection:
        connection.execute("CREATE TABLE applicants (full_name, mail)")
        connection.execute("INSERT INTO applicants VALUES ('Ada', 'ada@example.com')")
    connection.close()
    warehouse = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse))
    lineage = lineage_of(
        SqlToPihuPulseOperator, conn_id="warehouse", sql="SELECT full_name AS name, mail AS email FROM applicants"
    )
    [table] = names(lineage.inputs)
    assert table == ("file", f"{tmp_path}/warehouse.db/applicants")
    assert columns(lineage.outputs[0]) == {"name": [(table[1], "full_name")], "email": [(table[1], "mail")]}


def test_screenings_are_made_of_candidates_and_of_the_file_that_names_them(
    lineage_of, host, pihupulse_sandbox, tmp_path
):
    [candidate] = pihupulse_sandbox.insert_candidates(1)
    (tmp_path / "results.jsonl").write_text(json.dumps({"row": 1, "status": "created", "id": candidate}))
    lineage = lineage_of(
        PihuPulseCreateScreeningsOperator,
        candidate_ids=f"file://{tmp_path}/results.jsonl",
        template_id="t54321",
    )
    assert names(lineage.inputs) == [(host, "candidates"), ("file", f"{tmp_path}/results.jsonl")]
    assert names(lineage.outputs) == [(host, "screenings")]


def test_an_export_to_a_file_tells_of_each_field(lineage_of, host, pihupulse_sandbox, tmp_path):
    pihupulse_sandbox.insert_candidates(3)
    lineage = lineage_of(PihuPulseToStorageOperator, resource="candidates", path=f"file://{tmp_path}/all.csv")
    assert names(lineage.inputs) == [(host, "candidates")]
    assert names(lineage.outputs) == [("file", f"{tmp_path}/all.csv")]
    assert columns(lineage.outputs[0])["email"] == [("candidates", "email")]
    assert lineage.outputs[0].outputFacets["outputStatistics"].rowCount == 3


def test_an_export_to_a_table_tells_of_the_columns_that_it_fills(
    lineage_of, host, pihupulse_sandbox, tmp_path, monkeypatch
):
    warehouse = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse))
    lineage = lineage_of(
        PihuPulseToSqlOperator, resource="candidates", conn_id="warehouse", table="people", columns=["status"]
    )
    [(namespace, name)] = names(lineage.outputs)
    assert (namespace, name.rpartition("/")[2]) == ("file", "people")
    assert columns(lineage.outputs[0]).keys() == {"id", "status"}


def test_single_objects_are_read_and_written(lineage_of, host, pihupulse_sandbox):
    [candidate] = pihupulse_sandbox.insert_candidates(1)
    assert names(lineage_of(PihuPulseGetCandidateOperator, candidate_id=candidate).inputs) == [(host, "candidates")]
    created = lineage_of(PihuPulseCreateCandidateOperator, name="Ada", email="ada@example.com")
    assert names(created.outputs) == [(host, "candidates")]


def test_a_task_that_failed_tells_what_it_was_about(lineage_of, host, pihupulse_sandbox):
    lineage = lineage_of(PihuPulseGetCandidateOperator, candidate_id="c-missing")
    assert lineage_of.run.state == "failed"
    assert names(lineage.inputs) == [(host, "candidates")]


@pytest.mark.parametrize(
    ("path", "dataset"),
    [
        ("/data/people.csv", ("file", "/data/people.csv")),
        ("file:///data/people.csv", ("file", "/data/people.csv")),
        ("s3://aws_default@bucket/a/people.csv", ("s3://bucket", "a/people.csv")),
        ("s3a://bucket/people.csv", ("s3://bucket", "people.csv")),
        ("gs://bucket/people.csv", ("gs://bucket", "people.csv")),
        ("s3://bucket/a#1.csv", ("s3://bucket", "a#1.csv")),
        ("s3://bucket/a?x=1.csv", ("s3://bucket", "a?x=1.csv")),
        ("abfs://azure_default@box/p.csv", ("abfs://box", "p.csv")),
        ("abfss://box@account.dfs.core.windows.net/p.csv", ("abfss://box@account.dfs.core.windows.net", "p.csv")),
    ],
)
def test_files_have_openlineage_s_names(path, dataset):
    assert file_dataset(path) == Dataset(*dataset)


@pytest.mark.parametrize(
    ("url", "table", "dataset"),
    [
        ("postgresql://me:secret@db/hr", "people", ("postgres://db:5432", "hr.public.people")),
        ("postgresql+psycopg://db:6543/hr", "staff.people", ("postgres://db:6543", "hr.staff.people")),
    ],
)
def test_tables_have_openlineage_s_names(url, table, dataset):
    assert table_dataset(make_url(url), table, "public") == Dataset(*dataset)


class TestAssets:
    def test_an_import_updates_the_candidates_of_its_connection(self, lineage_of, pihupulse_sandbox):
        lineage_of(PihuPulseImportCandidatesOperator, source=[{"name": "Ada", "email": "ada@example.com"}])
        [extra] = lineage_of.events.values()
        assert extra["created"] == 1
        assert "ada@" not in json.dumps(extra)

    def test_a_mapped_one_declares_it_too(self, dag_runs):
        with dag_runs.dag():
            mapped = PihuPulseImportCandidatesOperator.partial(task_id="import", retries=0).expand(source=["a.csv"])
        assert mapped.outlets == [Asset(CANDIDATES)]

    def test_a_connection_that_is_not_known_yet_declares_none(self):
        task = PihuPulseImportCandidatesOperator(task_id="t", source="a.csv", pihupulse_conn_id="{{ params.account }}")
        assert task.outlets == []

    def test_what_the_author_declares_stays_and_hears_of_the_export(self, lineage_of, pihupulse_sandbox, tmp_path):
        lineage_of(
            PihuPulseToStorageOperator,
            resource="candidates",
            path=f"file://{tmp_path}/all.csv",
            outlets=[Asset("landed_candidates")],
        )
        [extra] = lineage_of.events.values()
        assert extra["path"] == f"file://{tmp_path}/all.csv"

    @pytest.mark.parametrize("uri", ["pihupulse:///candidates", "pihupulse://a/jobs", "pihupulse://a/candidates?x=1"])
    def test_a_uri_that_names_nothing_of_pihupulse_is_refused(self, uri):
        with pytest.raises(ValueError, match=r"pihupulse://<connection id>/<resource>"):
            Asset(uri)
