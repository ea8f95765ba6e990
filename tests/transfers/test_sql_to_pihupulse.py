"""Candidates from a SQL database."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import tracemalloc
from datetime import date

import psycopg
import pytest
from psycopg.rows import dict_row, scalar_row

from pihupulse_provider.api import AsyncClient
from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.cell_text import NotTextError, cell_text
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


class TestTheDatabaseIsLeftEarly:
    """Sending takes hours; no transaction is open meanwhile, and no timeout or restart of the database ends it."""

    def test_as_soon_as_all_is_read(self, postgres_url):
        connection = psycopg.connect(postgres_url)
        with stream(connection, "SELECT n FROM generate_series(1, 2500) n") as source:
            assert len(list(source.rows)) == 2500
            assert connection.closed

    def test_where_nothing_is_found(self, postgres_url):
        connection = psycopg.connect(postgres_url)
        with stream(connection, "SELECT 1 WHERE false") as source:
            assert list(source.rows) == []
            assert connection.closed

    def test_where_reading_fails(self, postgres_url):
        connection = psycopg.connect(postgres_url)
        with stream(connection, "SELECT 1 / (2000 - n) FROM generate_series(1, 3000) n") as source:
            with pytest.raises(SourceError, match="DivisionByZero"):
                list(source.rows)
            assert connection.closed

    def test_where_not_all_is_read(self, postgres_url):
        connection = psycopg.connect(postgres_url)
        with stream(connection, "SELECT n FROM generate_series(1, 2500) n") as source:
            next(source.rows)
        assert connection.closed

    def test_before_the_first_candidate_is_created(self, dag_runs, pihupulse_sandbox, postgres_url, monkeypatch):
        """The database ends connections that are idle: the candidates are created, and the task succeeds."""
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'idle'"

        def connect(_):
            return psycopg.connect(postgres_url, application_name="idle")

        async def end_it_and_send(client, *arguments, **options):
            with psycopg.connect(postgres_url) as other:
                other.execute(ended)
            return await send(client, *arguments, **options)

        send = AsyncClient.run
        monkeypatch.setattr(SqlToPihuPulseOperator, "_connect", connect)
        monkeypatch.setattr(AsyncClient, "run", end_it_and_send)
        query = "SELECT 'Ana' AS name, n || '@example.com' AS email FROM generate_series(1, 3) n"
        with dag_runs.dag() as dag:
            SqlToPihuPulseOperator(task_id="load", sql=query, conn_id="x", retries=0)
        assert dag_runs.run(dag).xcom("load")["created"] == 3


class Lost(sqlite3.Connection):
    """A connection that is lost by the time that it is closed."""

    def close(self):
        super().close()
        raise sqlite3.OperationalError("the server closed the connection")


class TestClosingThatFails:
    @pytest.fixture
    def lost(self):
        return sqlite3.connect(":memory:", factory=Lost)

    def test_it_does_not_take_the_place_of_the_rows(self, lost):
        with stream(lost, "SELECT 1 AS n") as source:
            assert [row.values for row in source.rows] == [{"n": 1}]

    def test_it_does_not_hide_what_went_wrong(self, lost):
        with pytest.raises(sqlite3.OperationalError, match="no such table"), stream(lost, "SELECT * FROM people"):
            pass

    def test_it_does_not_hide_what_pihupulse_said(self, lost):
        with pytest.raises(RuntimeError, match="401"), stream(lost, "SELECT 1 AS n"):
            raise RuntimeError("401")


@pytest.mark.parametrize("factory", [dict_row, scalar_row])
def test_a_connection_that_gives_other_rows_than_tuples_is_read(postgres_url, factory):
    connection = psycopg.connect(postgres_url, row_factory=factory)
    with stream(connection, "SELECT 'Ana' AS name, 'ana@example.com' AS email") as source:
        assert [row.values for row in source.rows] == [{"name": "Ana", "email": "ana@example.com"}]


def test_a_number_of_single_precision_has_the_digits_that_were_meant_or_is_rejected(postgres_url):
    """``real`` skips whole numbers from 2**24 on; ``double precision`` does so much later."""
    query = "SELECT 16777215::real AS a, 4915551234567::real AS b, 4915551234567::float8 AS c"
    with stream(psycopg.connect(postgres_url), query) as source:
        [row] = source.rows
    assert (cell_text(row.values["a"]), cell_text(row.values["c"])) == ("16777215", "4915551234567")
    with pytest.raises(NotTextError, match="too large for its digits to be known"):
        cell_text(row.values["b"])


def test_rows_that_are_dicts_are_read_from_any_driver():
    connection = sqlite3.connect(":memory:")
    connection.row_factory = lambda cursor, row: dict(zip([one[0] for one in cursor.description], row, strict=True))
    with stream(connection, "SELECT 'Ana' AS name, 'ana@example.com' AS email") as source:
        assert [row.values for row in source.rows] == [{"name": "Ana", "email": "ana@example.com"}]


@pytest.mark.parametrize(
    ("odd", "text"),
    [
        ("'infinity'::date", "infinity"),
        ("'0044-03-15 BC'::date", "0044-03-15 BC"),
        ("'-infinity'::timestamp", "-infinity"),
        ("'infinity'::timestamptz", "infinity"),
        ("'24:00:00'::time", "24:00:00"),
        ("'3000000 years'::interval", "3000000 years"),
    ],
)
def test_a_date_or_time_that_python_can_not_hold_is_text(postgres_url, odd, text):
    """Nobody needs it to create a candidate, so it ends nothing."""
    query = f"SELECT n, CASE WHEN n = 2 THEN {odd} END AS odd FROM generate_series(1, 2) n"
    with stream(psycopg.connect(postgres_url), query) as source:
        assert [row.values["odd"] for row in source.rows] == [None, text]


def test_a_date_that_python_can_hold_stays_one(postgres_url):
    with stream(psycopg.connect(postgres_url), "SELECT '2026-01-31'::date AS day") as source:
        assert [row.values["day"] for row in source.rows] == [date(2026, 1, 31)]


def test_a_value_that_the_driver_can_not_load_is_said_to_be_one():
    """psycopg2 raises a ``ValueError`` for a date after the year 9999."""

    class Cursor(sqlite3.Cursor):
        def fetchmany(self, _):
            raise ValueError("year 20000 is out of range")

    class Connection(sqlite3.Connection):
        def cursor(self):
            return super().cursor(Cursor)

    connection = sqlite3.connect(":memory:", factory=Connection)
    with pytest.raises(SourceError, match=r"\(ValueError\).*cast .* to text"), stream(connection, "SELECT 1 AS n"):
        pass
