"""Candidates from a SQL database."""

from __future__ import annotations

import json
import sqlite3
import tracemalloc

import psycopg
import pytest

from pihupulse_provider.creating.errors import SourceError
from pihupulse_provider.transfers.sql_to_pihupulse import SqlToPihuPulseOperator, stream


@pytest.fixture
def people_db(tmp_path, monkeypatch):
    path = tmp_path / "people.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE people (first TEXT, last TEXT, mail TEXT, team TEXT)")
        connection.executemany(
            "INSERT INTO people VALUES (?, ?, ?, ?)",
            [(f"First{n}", f"Last{n}", f"p{n}@example.com", "red" if n % 2 else "blue") for n in range(10)],
        )
    connection.close()
    monkeypatch.setenv("AIRFLOW_CONN_PEOPLE", json.dumps({"conn_type": "sqlite", "host": str(path)}))


def test_the_rows_of_a_query_become_candidates(dag_runs, pihupulse_sandbox, people_db):
    with dag_runs.dag() as dag:
        SqlToPihuPulseOperator(
            task_id="load",
            sql="SELECT first, last, mail AS email FROM people WHERE team = :team",
            conn_id="people",
            parameters={"team": "red"},
            field_map={"name": ["first", "last"]},
        )
    run = dag_runs.run(dag)
    assert run.xcom("load")["created"] == 5
    assert {one["name"] for one in pihupulse_sandbox.candidates} == {f"First{n} Last{n}" for n in range(1, 10, 2)}


def test_a_missing_column_is_named(dag_runs, pihupulse_sandbox, people_db):
    with dag_runs.dag() as dag:
        SqlToPihuPulseOperator(task_id="load", sql="SELECT mail FROM people", conn_id="people", retries=0)
    error = dag_runs.run(dag).errors["load", -1][0]
    assert isinstance(error, SourceError)
    assert "'name', 'email' among its 1" in str(error)


def test_postgresql_is_read_from_a_cursor_on_its_side(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        tracemalloc.start()
        with stream(connection, "SELECT n, repeat('x', 1000) AS text FROM generate_series(1, 50000) n") as source:
            count = sum(1 for _ in source.rows)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (count, source.columns) == (50_000, ["n", "text"])
    assert peak < 20_000_000
