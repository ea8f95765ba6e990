"""Objects of the API in a table, on a real SQLite and a real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from itertools import count

import pytest
import sqlalchemy as sa

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.api.models import Candidate, Report, Screening, Template
from pihupulse_provider.exporting import sql_table
from pihupulse_provider.exporting.atomic_file import StorageError
from pihupulse_provider.exporting.sql_table import SqlTable, TableError
from tests.full_disk import files_of_at_most

_numbers = count(1)
FIELDS = list(Candidate.model_fields)
ADA = Candidate(
    id="c1",
    name="Ada",
    email="ada@example.com",
    skills=["Analysis"],
    experience_years=1.5,
    created_at="2026-01-15T10:30:00+02:00",
)
ALAN = Candidate(id="c2", name="Alan", status="active")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def sqlite(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'warehouse.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def postgresql(postgres_url):
    engine = sa.create_engine(sa.engine.make_url(postgres_url).set(drivername=driver()))
    yield engine
    engine.dispose()


def driver():
    return "postgresql+psycopg" if sa.__version__ >= "2" else "postgresql+psycopg2"


@pytest.fixture
def name():
    return f"people_{next(_numbers)}"


def land(engine, name, rows, *, mode="upsert", model=Candidate, fields=None):
    with SqlTable(engine, name, model, fields or list(model.model_fields), mode) as table:
        table.write(rows)
        table.publish()


def rows(engine, name, columns="*"):
    with engine.connect() as connection:
        found = connection.execute(sa.text(f"SELECT {columns} FROM {name} ORDER BY 1"))
        return [row._asdict() for row in found]


class TestAMissingTable:
    def test_it_is_made_with_a_column_for_each_field(self, engine, name):
        land(engine, name, [ADA, ALAN])
        columns = {column["name"] for column in sa.inspect(engine).get_columns(name)}
        assert columns == set(FIELDS)
        assert [row["name"] for row in rows(engine, name)] == ["Ada", "Alan"]

    def test_numbers_and_times_are_ones(self, engine, name):
        land(engine, name, [ADA])
        table = sa.Table(name, sa.MetaData(), autoload_with=engine)
        with engine.connect() as connection:
            row = connection.execute(sa.select(table.c.experience_years, table.c.created_at)).one()
        assert row.experience_years == 1.5
        assert row.created_at.replace(tzinfo=row.created_at.tzinfo or UTC) == datetime(2026, 1, 15, 8, 30, tzinfo=UTC)

    def test_lists_are_json(self, engine, name):
        land(engine, name, [ADA])
        table = sa.Table(name, sa.MetaData(), sa.Column("skills", sa.JSON))
        with engine.connect() as connection:
            assert connection.execute(sa.select(table.c.skills)).scalar_one() == ["Analysis"]

    def test_a_report_is_known_by_its_screening(self, engine, name):
        report = Report(screening_id="s1", score=85, skill_scores=[{"skill": "CSS", "score": 80}])
        land(engine, name, [report, report], model=Report)
        [row] = rows(engine, name, "screening_id, score")
        assert row == {"screening_id": "s1", "score": 85}


class TestUpsert:
    def test_a_row_of_the_same_id_is_replaced(self, engine, name):
        land(engine, name, [ADA, ALAN])
        land(engine, name, [ALAN.model_copy(update={"status": "archived"})])
        assert rows(engine, name, "id, status") == [
            {"id": "c1", "status": None},
            {"id": "c2", "status": "archived"},
        ]

    def test_fields_that_are_not_written_keep_their_values(self, engine, name):
        land(engine, name, [ADA])
        land(engine, name, [ADA.model_copy(update={"name": None})], fields=["id", "status"])
        assert rows(engine, name, "id, name") == [{"id": "c1", "name": "Ada"}]

    def test_ids_alone_are_added_once(self, engine, name):
        land(engine, name, [ADA])
        land(engine, name, [ADA, ALAN, ALAN], fields=["id"])
        assert rows(engine, name, "id, name") == [{"id": "c1", "name": "Ada"}, {"id": "c2", "name": None}]

    def test_an_object_that_comes_twice_is_there_once(self, engine, name):
        land(engine, name, [ALAN, ALAN])
        assert len(rows(engine, name)) == 1

    def test_a_table_without_a_key_is_refused_before_anything_is_read(self, engine, name):
        with engine.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE {name} (id VARCHAR(20), status VARCHAR(20))"))
        with pytest.raises(ConfigurationError, match="no primary key or unique constraint on id"):
            land(engine, name, [], fields=["id", "status"])

    def test_a_unique_index_of_some_rows_only_is_no_key(self, engine, name):
        with engine.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE {name} (id VARCHAR(20), status VARCHAR(20))"))
            connection.execute(sa.text(f"CREATE UNIQUE INDEX active_{name} ON {name} (id) WHERE status = 'active'"))
        with pytest.raises(ConfigurationError, match="no primary key or unique constraint on id"):
            land(engine, name, [], fields=["id", "status"])

    def test_a_unique_index_of_all_rows_is_a_key(self, engine, name):
        with engine.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE {name} (id VARCHAR(20), status VARCHAR(20))"))
            connection.execute(sa.text(f"CREATE UNIQUE INDEX all_{name} ON {name} (id)"))
        land(engine, name, [ALAN], fields=["id", "status"])
        assert rows(engine, name) == [{"id": "c2", "status": "active"}]


def test_appended_rows_come_after_those_that_are_there(engine, name):
    land(engine, name, [ALAN], mode="append")
    land(engine, name, [ALAN], mode="append")
    assert [row["id"] for row in rows(engine, name)] == ["c2", "c2"]


class TestReplace:
    def test_only_what_was_read_is_left(self, engine, name):
        land(engine, name, [ADA])
        land(engine, name, [ALAN], mode="replace")
        assert [row["id"] for row in rows(engine, name)] == ["c2"]

    def test_a_table_may_have_any_name(self, engine, name):
        odd = f"{name} 50%:s"
        land(engine, odd, [ADA])
        land(engine, odd, [ALAN], mode="replace")
        table = sa.Table(odd, sa.MetaData(), sa.Column("id", sa.Text))
        with engine.connect() as connection:
            assert connection.execute(sa.select(table.c.id)).scalars().all() == ["c2"]

    def test_a_failure_leaves_the_table_as_it_was(self, engine, name):
        land(engine, name, [ADA])
        with pytest.raises(TableError):
            land(engine, name, [ALAN, ALAN], mode="replace")
        assert [row["id"] for row in rows(engine, name)] == ["c1"]

    def test_a_reader_sees_the_old_rows_until_all_new_ones_are_there(self, engine, name):
        land(engine, name, [ADA])
        with SqlTable(engine, name, Candidate, FIELDS, "replace") as table:
            table.write([ALAN])
            assert [row["id"] for row in rows(engine, name)] == ["c1"]

    def test_two_at_once_leave_each_row_once_in_a_table_without_a_key(self, postgres_url, name):
        engine = sa.create_engine(sa.engine.make_url(postgres_url).set(drivername=driver()))
        with engine.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE {name} (id TEXT, status TEXT)"))
        replace = {"mode": "replace", "fields": ["id", "status"]}
        land(engine, name, [ALAN], **replace)
        slower = sa.create_engine(engine.url)
        with ThreadPoolExecutor(1) as other:
            second = []

            @sa.event.listens_for(slower, "before_cursor_execute")
            def let_another_begin(_connection, _cursor, statement, *_):
                if statement.startswith("INSERT"):
                    second.append(other.submit(land, engine, name, [ALAN], **replace))
                    wait_until_locked(slower, second[0])

            land(slower, name, [ALAN], **replace)
            second[0].result()
        assert len(rows(engine, name)) == 1
        engine.dispose()
        slower.dispose()


def wait_until_locked(engine, future):
    """Wait until what a future does waits for a lock of PostgreSQL, or is over."""
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    is_waiting = 0
    while not is_waiting and not future.done():
        with engine.connect() as connection:
            is_waiting = connection.execute(waiting).scalar_one()


class TestErrors:
    def test_a_full_disk_of_the_worker_is_named_and_leaves_the_table_as_it_was(self, engine, name):
        land(engine, name, [ADA])
        full = pytest.raises(StorageError, match=r"temporary file of this task can't be written.*TMPDIR")
        with full, files_of_at_most(65536), SqlTable(engine, name, Candidate, FIELDS, "replace") as table:
            table.write([ALAN] * 1000)
        assert [row["id"] for row in rows(engine, name)] == ["c1"]

    def test_a_missing_column_is_named(self, engine, name):
        with engine.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE {name} (id VARCHAR(20) PRIMARY KEY)"))
        with pytest.raises(ConfigurationError, match="no column status"):
            land(engine, name, [], fields=["id", "status"])

    def test_they_hold_no_value_of_a_row(self, engine, name):
        with engine.begin() as connection:
            check = "name VARCHAR(99) CHECK (length(name) < 4)"
            connection.execute(sa.text(f"CREATE TABLE {name} (id VARCHAR(20) PRIMARY KEY, {check})"))
        with pytest.raises(TableError) as caught:
            land(engine, name, [Candidate(id="c9", name="Grace Hopper")], fields=["id", "name"])
        assert "Grace" not in f"{caught.value}{caught.value.__cause__}"

    @pytest.mark.parametrize("when", ["at once", "at the end"])
    def test_what_a_trigger_says_of_a_row_is_not_repeated(self, postgresql, name, when):
        """It may name whom it is about; which kind of error it was is said."""
        kind, timing = ("", "") if when == "at once" else ("CONSTRAINT", "DEFERRABLE INITIALLY DEFERRED")
        with postgresql.begin() as connection:
            run = connection.exec_driver_sql
            run(f"CREATE TABLE {name} (id TEXT PRIMARY KEY, name TEXT)")
            says = "BEGIN RAISE EXCEPTION '%% is on the deny list', NEW.name; END"
            run(f"CREATE FUNCTION deny_{name}() RETURNS trigger LANGUAGE plpgsql AS $${says}$$")
            row = f"FOR EACH ROW EXECUTE FUNCTION deny_{name}()"
            run(f"CREATE {kind} TRIGGER deny AFTER INSERT ON {name} {timing} {row}")
        with pytest.raises(TableError, match="RaiseException, SQLSTATE P0001") as caught:
            land(postgresql, name, [ADA], fields=["id", "name"])
        assert "Ada" not in f"{caught.value}{caught.value.__cause__}"

    @pytest.mark.parametrize("words", ["Ada is on the deny list", "no such table: Ada is on none"])
    def test_what_a_trigger_of_sqlite_says_is_not_repeated(self, sqlite, name, words):
        with sqlite.begin() as connection:
            connection.exec_driver_sql(f"CREATE TABLE {name} (id TEXT PRIMARY KEY)")
            says = f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
            connection.exec_driver_sql(f"CREATE TRIGGER deny BEFORE INSERT ON {name} {says}")
        with pytest.raises(TableError, match="SQLITE_CONSTRAINT_TRIGGER") as caught:
            land(sqlite, name, [ADA], fields=["id"])
        assert "Ada" not in f"{caught.value}{caught.value.__cause__}"

    def test_what_a_trigger_of_sqlite_lacks_is_said_once(self, sqlite, name):
        with sqlite.begin() as connection:
            connection.exec_driver_sql(f"CREATE TABLE {name} (id TEXT PRIMARY KEY)")
            does = "BEGIN INSERT INTO audit VALUES (NEW.id); END"
            connection.exec_driver_sql(f"CREATE TRIGGER audited AFTER INSERT ON {name} {does}")
        with pytest.raises(TableError) as caught:
            land(sqlite, name, [ADA], fields=["id"])
        assert str(caught.value) == f"The table {name} can't be written: no such table: main.audit. It is as it was."

    def test_a_column_that_lacks_a_value_is_named(self, engine, name):
        with engine.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE {name} (id VARCHAR(20) PRIMARY KEY, team TEXT NOT NULL)"))
        with pytest.raises(TableError, match=r"column team|NOT NULL constraint failed: \w+\.team"):
            land(engine, name, [ADA], fields=["id"])

    def test_a_constraint_that_a_row_violates_is_named(self, engine, name):
        with engine.begin() as connection:
            check = "name VARCHAR(99) CONSTRAINT short_names CHECK (length(name) < 3)"
            connection.execute(sa.text(f"CREATE TABLE {name} (id VARCHAR(20) PRIMARY KEY, {check})"))
        with pytest.raises(TableError, match=r"short_names"):
            land(engine, name, [ADA], fields=["id", "name"])

    def test_a_table_that_is_gone_by_then_is_the_databases_to_tell(self, engine, name):
        land(engine, name, [])
        with SqlTable(engine, name, Candidate, FIELDS, "append") as table:
            table.write([ADA])
            with engine.begin() as connection:
                connection.execute(sa.text(f"DROP TABLE {name}"))
            with pytest.raises(TableError, match=rf"no such table: {name}|relation \W{name}\W does not exist"):
                table.publish()

    def test_a_locked_database_is_said_to_be_one(self, sqlite, name):
        land(sqlite, name, [])
        hasty = sa.create_engine(sqlite.url, connect_args={"timeout": 0})
        with sqlite.connect() as other:
            other.exec_driver_sql("BEGIN IMMEDIATE")
            with pytest.raises(TableError, match="database is locked"):
                land(hasty, name, [ADA])
            other.exec_driver_sql("ROLLBACK")
        hasty.dispose()

    def test_a_server_that_is_gone_by_then_is_said_to_be(self, postgresql, name):
        with SqlTable(postgresql, name, Candidate, FIELDS, "append") as table:
            table.write([ADA])

            @sa.event.listens_for(postgresql, "do_connect")
            def refuse(_dialect, _record, _arguments, options):
                options["port"] = 1

            postgresql.dispose()
            with pytest.raises(TableError, match="refused"):
                table.publish()

    @pytest.mark.parametrize(
        ("model", "values"),
        [
            (Template, {"question_count": 2**70}),
            (Screening, {"completed_at": "0001-01-01T00:00:00+02:00"}),
        ],
    )
    def test_what_no_column_can_hold_is_one_of_the_table(self, engine, name, model, values):
        with pytest.raises(TableError, match=f"{name} can't be written.*It is as it was"):
            land(engine, name, [model(id="x1", **values)], model=model)
        assert rows(engine, name) == []


class TestTimesOfATableThatExists:
    """They are in UTC, whatever zone the database shows times in."""

    @pytest.mark.parametrize(
        ("kind", "held"),
        [
            ("timestamp", datetime(2026, 1, 15, 2, 30)),
            ("date", date(2026, 1, 15)),
            ("timestamptz", datetime(2026, 1, 15, 2, 30, tzinfo=UTC)),
        ],
    )
    @pytest.mark.parametrize("mode", ["upsert", "append"])
    def test_on_postgresql(self, postgresql, name, kind, held, mode):
        zoned = sa.create_engine(postgresql.url, connect_args={"options": "-c timezone=America/New_York"})
        with zoned.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE {name} (id TEXT PRIMARY KEY, completed_at {kind})"))
        screening = Screening(id="s1", completed_at="2026-01-15T02:30:00Z")
        land(zoned, name, [screening], model=Screening, fields=["id", "completed_at"], mode=mode)
        assert rows(zoned, name, "completed_at") == [{"completed_at": held}]
        zoned.dispose()

    def test_a_default_of_the_database_keeps_its_zone(self, postgresql, name):
        """The zone of the session is left alone: what the table fills in by itself is as it was for others."""
        zoned = sa.create_engine(postgresql.url, connect_args={"options": "-c timezone=Pacific/Kiritimati"})
        columns = "id TEXT PRIMARY KEY, completed_at timestamp, zone text DEFAULT current_setting('timezone')"
        with zoned.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE {name} ({columns})"))
        land(zoned, name, [Screening(id="s1")], model=Screening, fields=["id", "completed_at"])
        assert rows(zoned, name, "zone") == [{"zone": "Pacific/Kiritimati"}]
        zoned.dispose()


@pytest.mark.parametrize("odd", ["nul\0in it", "', DROP TABLE", "😀" * 100])
def test_any_text_is_kept(engine, name, odd):
    land(engine, name, [Candidate(id="c1", name=odd, skills=[odd])])
    assert rows(engine, name, "name") == [{"name": odd.replace("\0", "")}]


def test_an_unknown_field_and_a_long_id_do_not_end_it(engine, name):
    skilled = Report(screening_id="s" * 300, skill_scores=[{"skill": "SQL", "nul\0in it": 1}])
    land(engine, name, [skilled], model=Report)
    assert rows(engine, name, "screening_id") == [{"screening_id": "s" * 300}]


class Stopped(SqlTable):
    """Stands for a worker that is stopped before it commits, while a retry goes on."""

    retry = ()

    def _put(self, *arguments):
        super()._put(*arguments)
        for work in self.retry:
            work()


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_a_worker_that_is_stopped_while_it_writes_does_not_hold_up_the_retry(postgres_url, name, mode, monkeypatch):
    monkeypatch.setattr(sql_table, "_LONGEST_IDLE", "200ms")
    engine = sa.create_engine(sa.engine.make_url(postgres_url).set(drivername=driver()))
    with Stopped(engine, name, Candidate, FIELDS, mode) as stopped:
        stopped.write([ADA])
        stopped.retry = [lambda: land(engine, name, [ALAN, ADA], mode=mode)]
        with pytest.raises(TableError):
            stopped.publish()
    assert [row["id"] for row in rows(engine, name)] == ["c1", "c2"]
    engine.dispose()


def test_a_schema_is_named_before_a_dot(postgres_url, name):
    url = sa.engine.make_url(postgres_url).set(drivername=driver())
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA s_{name}"))
    screening = Screening(id="s1", candidate_id="c1", status="pending")
    land(engine, f"s_{name}.screenings", [screening], model=Screening)
    assert rows(engine, f"s_{name}.screenings", "id, status") == [{"id": "s1", "status": "pending"}]
    engine.dispose()
