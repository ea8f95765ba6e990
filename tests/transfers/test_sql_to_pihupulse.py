"""Candidates from a SQL database."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import tracemalloc

import psycopg
import pytest

from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.errors import InvalidCandidateError, SourceError, SourceFormatError
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
    assert isinstance(error, SourceFormatError)
    assert "no column 'name', 'email'. It has 'mail'" in str(error)


def test_columns_in_upper_case_are_meant(dag_runs, pihupulse_sandbox, people_db):
    with dag_runs.dag() as dag:
        SqlToPihuPulseOperator(
            task_id="load", sql="SELECT first AS NAME, mail AS EMAIL FROM people", conn_id="people", retries=0
        )
    assert dag_runs.run(dag).xcom("load")["created"] == 10


def test_a_statement_without_rows_is_a_sentence(dag_runs, pihupulse_sandbox, people_db):
    with dag_runs.dag() as dag:
        SqlToPihuPulseOperator(task_id="load", sql="DELETE FROM people", conn_id="people", retries=0)
    error = dag_runs.run(dag).errors["load", -1][0]
    assert isinstance(error, SourceError)
    assert "gives no rows" in str(error)


def test_a_query_that_finds_nothing_creates_nothing(dag_runs, pihupulse_sandbox, people_db):
    with dag_runs.dag() as dag:
        SqlToPihuPulseOperator(
            task_id="load", sql="SELECT first AS name, mail AS email FROM people WHERE 1 = 0", conn_id="people"
        )
    assert dag_runs.run(dag).xcom("load")["rows"] == 0


def test_a_text_that_is_not_utf_8_is_one_bad_row():
    connection = sqlite3.connect(":memory:")
    query = "SELECT 'Ana' AS name UNION ALL SELECT cast(x'c5' AS TEXT) UNION ALL SELECT 'Zoe'"
    with contextlib.closing(connection), stream(connection, query) as source:
        names = [row.values["name"] for row in source.rows]
    assert (names[0], names[2]) == ("Ana", "Zoe")
    with pytest.raises(InvalidCandidateError, match="half a character"):
        CandidateInput().read({"name": names[1], "email": "ana@example.org"})


@pytest.mark.parametrize("statement", ["INSERT INTO there_is_none VALUES (1)", "CREATE TABLE made_by_nobody (n int)"])
def test_a_statement_without_rows_is_a_sentence_on_postgresql(postgres_url, statement):
    with (
        psycopg.connect(postgres_url) as connection,
        pytest.raises(SourceError, match="gives no rows"),
        stream(connection, statement),
    ):
        pass


def test_a_mistake_in_a_query_stays_the_databases_to_tell(postgres_url):
    with (
        psycopg.connect(postgres_url) as connection,
        pytest.raises(psycopg.errors.SyntaxError),
        stream(connection, "SELECT FROM WHERE"),
    ):
        pass


@pytest.mark.parametrize("first", [1, 2500], ids=["at once", "further on"])
def test_a_value_that_the_database_can_not_convert_is_in_no_error(postgres_url, first):
    name = f"CASE WHEN n < {first} THEN 'Ana' ELSE ('Zoe ' || n)::int::text END"
    with (
        psycopg.connect(postgres_url) as connection,
        pytest.raises(SourceError, match="InvalidTextRepresentation") as raised,
        stream(connection, f"SELECT {name} AS name FROM generate_series(1, 3000) n") as source,
    ):
        list(source.rows)
    assert "Zoe" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_postgresql_is_read_from_a_cursor_on_its_side(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        tracemalloc.start()
        with stream(connection, "SELECT n, repeat('x', 1000) AS text FROM generate_series(1, 50000) n") as source:
            count = sum(1 for _ in source.rows)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (count, source.columns) == (50_000, ["n", "text"])
    assert peak < 20_000_000
