"""Everything of PihuPulse in tables."""

from __future__ import annotations

import json
import sqlite3

import pytest

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.transfers.pihupulse_to_sql import PihuPulseToSqlOperator


@pytest.fixture
def warehouse(tmp_path, monkeypatch):
    """Ask the database that the connection ``warehouse`` names."""
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(path)}))

    def ask(query):
        with sqlite3.connect(path) as connection:
            found = connection.execute(query).fetchall()
        connection.close()
        return found

    return ask


def land(dag_runs, **arguments):
    with dag_runs.dag() as dag:
        PihuPulseToSqlOperator(task_id="land", **{"conn_id": "warehouse", "retries": 0, **arguments})
    return dag_runs.run(dag)


def test_all_candidates_are_in_the_table(dag_runs, pihupulse_sandbox, warehouse):
    pihupulse_sandbox.insert_candidates(230)
    run = land(dag_runs, resource="candidates", table="candidates")
    assert warehouse("SELECT count(*), count(DISTINCT email) FROM candidates") == [(230, 230)]
    assert run.xcom("land")["rows"] == 230
    assert run.xcom("land")["table"] == "candidates"


def test_a_second_run_brings_what_is_new_up_to_date(dag_runs, pihupulse_sandbox, warehouse):
    [screening] = pihupulse_sandbox.insert_screenings(pihupulse_sandbox.insert_candidates(1))
    pihupulse_sandbox.put(screening, "pending")
    watermark = land(dag_runs, resource="screenings", table="screenings").xcom("land")["watermark"]
    pihupulse_sandbox.put(screening, "completed")
    land(dag_runs, resource="screenings", table="screenings", updated_since=watermark)
    assert warehouse("SELECT id, status FROM screenings") == [(screening, "completed")]


def test_reports_of_completed_screenings_land(dag_runs, pihupulse_sandbox, warehouse):
    [screening] = pihupulse_sandbox.insert_screenings(pihupulse_sandbox.insert_candidates(1))
    pihupulse_sandbox.put(screening, "completed")
    land(dag_runs, resource="reports", table="reports")
    assert warehouse("SELECT screening_id FROM reports") == [(screening,)]


def test_columns_keep_personal_data_out(dag_runs, pihupulse_sandbox, warehouse):
    pihupulse_sandbox.insert_candidates(2)
    land(dag_runs, resource="candidates", table="candidates", columns=["status", "created_at"])
    assert warehouse("SELECT count(status), count(email), count(name) FROM candidates") == [(2, 0, 0)]


def test_a_failed_export_leaves_the_table_alone(dag_runs, pihupulse_sandbox, warehouse):
    pihupulse_sandbox.insert_candidates(3)
    land(dag_runs, resource="candidates", table="candidates")
    pihupulse_sandbox.insert_candidates(200)
    pihupulse_sandbox.fail("error", status=401)
    assert land(dag_runs, resource="candidates", table="candidates", mode="replace").state == "failed"
    assert warehouse("SELECT count(*) FROM candidates") == [(3,)]


class TestArguments:
    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"mode": "merge"}, "choose one of upsert, append, replace"),
            ({"mode": "replace", "updated_since": "{{ ds }}"}, "would put back only what is new"),
            ({"columns": ["salary"]}, "columns names salary"),
            ({"columns": "score"}, r"columns is a text: give a list of fields, such as \['score'\]"),
            ({"columns": ["status", "skills", "resume_url"]}, "columns names resume_url, skills.* needs detail=True"),
            ({"resource": "jobs"}, "choose one of candidates"),
        ],
    )
    def test_wrong_ones_are_refused_when_the_dag_is_parsed(self, wrong, message):
        arguments = {"resource": "candidates", "conn_id": "warehouse", "table": "t", **wrong}
        with pytest.raises(ConfigurationError, match=message):
            PihuPulseToSqlOperator(task_id="land", **arguments)

    def test_details_can_be_named_where_they_are_fetched(self):
        PihuPulseToSqlOperator(
            task_id="land", resource="candidates", conn_id="warehouse", table="t", columns=["skills"], detail=True
        )

    @pytest.mark.parametrize("kind", ["generic", "nothing_of_that_name"])
    def test_a_connection_whose_provider_is_missing_says_what_to_install(
        self, dag_runs, pihupulse_sandbox, kind, monkeypatch
    ):
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": kind, "host": "db"}))
        run = land(dag_runs, resource="candidates", table="t", conn_id="warehouse")
        assert "for which no Airflow provider is installed here" in str(run.errors["land", -1][0])

    def test_a_connection_that_speaks_no_sql_is_refused(self, dag_runs, pihupulse_sandbox):
        run = land(dag_runs, resource="candidates", table="t", conn_id="pihupulse_default")
        assert "does not speak SQL" in str(run.errors["land", -1][0])
