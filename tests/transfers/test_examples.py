"""The example DAGs that hand something from one run to the next, or to SQL."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from importlib import import_module


def example(name):
    return getattr(import_module(f"dags_examples.{name}"), name)()


def test_import_from_sql(dag_runs, pihupulse_sandbox, tmp_path, monkeypatch):
    with sqlite3.connect(tmp_path / "warehouse.db") as connection:
        connection.execute("CREATE TABLE applicants (first_name, last_name, mail, applied_at)")
        connection.execute("INSERT INTO applicants VALUES ('Ada', 'Lovelace', 'ada@example.com', '2020-01-01')")
        connection.execute("INSERT INTO applicants VALUES ('Too', 'Late', 'late@example.com', '9999-01-01')")
    connection.close()
    warehouse = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse))
    assert dag_runs.run(example("import_from_sql")).state == "success"
    assert [one["name"] for one in pihupulse_sandbox.candidates] == ["Ada Lovelace"]


def test_incremental_export(dag_runs, pihupulse_sandbox, tmp_path):
    candidates = pihupulse_sandbox.insert_candidates(150)
    pihupulse_sandbox.advance(600)
    conf = {"folder": f"file://{tmp_path}"}
    first = dag_runs.run(example("incremental_export"), conf, at=datetime(2026, 1, 1, 1, tzinfo=UTC))
    assert first.xcom("count_by_status") == {"active": 150}
    pihupulse_sandbox.advance(600)
    pihupulse_sandbox.archive(candidates[0])
    second = dag_runs.run(example("incremental_export"), conf, at=datetime(2026, 1, 1, 2, tzinfo=UTC))
    assert second.xcom("export_candidates")["rows"] == 1
    assert second.xcom("count_by_status") == {"active": 149, "archived": 1}


def test_land_in_sql(dag_runs, pihupulse_sandbox, tmp_path, monkeypatch):
    warehouse = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse))
    screenings = pihupulse_sandbox.insert_screenings(pihupulse_sandbox.insert_candidates(3))
    assert dag_runs.run(example("land_in_sql"), at=datetime(2026, 1, 1, 1, tzinfo=UTC)).state == "success"
    pihupulse_sandbox.put(screenings[0], "completed")
    assert dag_runs.run(example("land_in_sql"), at=datetime(2026, 1, 1, 2, tzinfo=UTC)).state == "success"
    with sqlite3.connect(tmp_path / "warehouse.db") as connection:
        landed = connection.execute("SELECT id, status FROM screenings").fetchall()
    connection.close()
    assert len(landed) == 3
    assert dict(landed)[screenings[0]] == "completed"
