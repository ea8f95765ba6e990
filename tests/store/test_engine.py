"""The store's database: one file of this machine, or PostgreSQL."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from pihupulse_provider.store import postgresql, sqlite
from pihupulse_provider.store.engine import Store, StoreError, open_store
from pihupulse_provider.store.store_url import parse_store_url
from tests.full_disk import files_of_at_most
from tests.servers import free_port

counters = sa.Table(
    "test_counters",
    sa.MetaData(),
    sa.Column("name", sa.String(20), primary_key=True),
    sa.Column("value", sa.Integer, nullable=False, index=True),
)
FORK = """
import os, sys, sqlalchemy as sa
from pihupulse_provider.store.engine import open_store
table = sa.Table("test_forks", sa.MetaData(), sa.Column("pid", sa.Integer, primary_key=True))
parent = open_store(sys.argv[1])
with parent.begin() as connection:
    table.create(connection)
    connection.execute(table.insert().values(pid=os.getpid()))
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert open_store(sys.argv[1]) is not parent
with open_store(sys.argv[1]).begin() as connection:
    connection.execute(table.insert().values(pid=os.getpid()))
"""
MANY_ROWS = """
import sys, sqlalchemy as sa
from pihupulse_provider.store import postgresql
from pihupulse_provider.store.engine import Store
postgresql._LONGEST_IDLE = "2s"
insert = sa.text("INSERT INTO test_counters (name, value) VALUES (:name, 1)")
rows = [{"name": str(number)} for number in range(10_000)]
with Store(sys.argv[1]).begin() as connection:
    connection.execute(insert, rows)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database without the table of these tests."""
    if request.param == "sqlite":
        yield f"sqlite:///{request.getfixturevalue('tmp_path')}/folder/store.db"
        return
    yield request.getfixturevalue("postgres_url")
    store = Store(request.getfixturevalue("postgres_url"))
    with store.begin() as connection:
        counters.drop(connection, checkfirst=True)
    store.dispose()


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def _count(store: Store, durable: bool = True) -> None:
    with store.begin(durable=durable) as connection:
        counters.create(connection, checkfirst=True)
        query = sa.select(counters.c.value).where(counters.c.name == "all").with_for_update()
        value = connection.execute(query).scalar()
        if value is None:
            connection.execute(counters.insert().values(name="all", value=1))
        else:
            connection.execute(counters.update().values(value=value + 1))


def _count_and_fail(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(counters.update().values(value=99))
        connection.exec_driver_sql("no SQL")


def _counted(store: Store) -> int | None:
    with store.read() as connection:
        value: int | None = connection.execute(sa.select(counters.c.value)).scalar()
        return value


def test_what_was_read_still_stands_when_it_is_written(url: str) -> None:
    store = Store(url)
    _count(store)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: _count(store, durable=False), range(40)))

    assert _counted(store) == 41
    store.dispose()


def test_failed_transaction_leaves_nothing(url: str) -> None:
    store = Store(url)
    _count(store)

    with pytest.raises(StoreError):
        _count_and_fail(store)

    assert _counted(store) == 1
    store.dispose()


def test_time_is_the_databases(url: str) -> None:
    store = Store(url, wall_clock=lambda: 7.0)
    with store.begin() as connection:
        now = store.now(connection)

    assert (now == 7.0) is store.is_sqlite
    assert store.is_sqlite or now > 1.7e9
    store.dispose()


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
def test_only_what_must_outlive_a_power_cut_waits_for_the_disk(sqlite_path: Path, durable: bool, level: int) -> None:
    store = Store(f"sqlite:///{sqlite_path}")

    with store.begin(durable=durable) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
    store.dispose()


def test_locked_file_is_a_store_error(sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_LOCK_SECONDS", 0.1)
    store = Store(f"sqlite:///{sqlite_path}")
    _count(store)
    other = sqlite3.connect(sqlite_path)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError, match=r"store\.db failed: database is locked"):
        _count(store)

    other.close()
    _count(store)
    assert _counted(store) == 2
    store.dispose()


def test_full_disk_is_a_store_error_and_passes(sqlite_path: Path) -> None:
    store = Store(f"sqlite:///{sqlite_path}")
    _count(store)

    with files_of_at_most(4096), pytest.raises(StoreError), store.begin() as connection:
        connection.execute(counters.insert(), [{"name": f"{number}", "value": number} for number in range(5000)])

    _count(store)
    assert _counted(store) == 2
    store.dispose()


def test_file_that_is_no_database_is_a_store_error(sqlite_path: Path) -> None:
    sqlite_path.write_bytes(b"no database" * 1000)

    with pytest.raises(StoreError, match="not a database"):
        _count(Store(f"sqlite:///{sqlite_path}"))


def test_folder_that_cannot_be_made_is_a_store_error() -> None:
    with pytest.raises(StoreError, match="unable to open"):
        _count(Store("sqlite:////dev/null/store.db"))


def test_unreachable_server_is_a_store_error_without_its_password() -> None:
    store = Store(f"postgresql://airflow:hunter2@127.0.0.1:{free_port()}/pihupulse")

    with pytest.raises(StoreError, match=r"airflow:\*\*\*@127") as caught:
        _count(store)

    assert "hunter2" not in str(caught.value) + repr(store)


def test_process_has_one_store_for_a_url(sqlite_path: Path) -> None:
    assert open_store(f"sqlite:///{sqlite_path}") is open_store(f"sqlite:///{sqlite_path}")


def test_forked_process_gets_connections_of_its_own(sqlite_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FORK, f"sqlite:///{sqlite_path}"], check=True, timeout=60)

    with sqlite3.connect(sqlite_path) as connection:
        assert connection.execute("SELECT count(*) FROM test_forks").fetchone() == (2,)
    connection.close()


def test_disposed_store_leaves_no_file_open(sqlite_path: Path) -> None:
    store = Store(f"sqlite:///{sqlite_path}")
    with store.begin() as connection:
        connection.execute(sa.text("SELECT 1"))
    assert _open_files(sqlite_path)
    store.dispose()
    assert not _open_files(sqlite_path)


def test_process_has_one_connection_to_the_server(empty_postgres_url: str) -> None:
    store = Store(empty_postgres_url)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: _count(store), range(24)))

    assert _counted(store) == 24
    assert _connections(empty_postgres_url) == 1
    store.dispose()


@pytest.mark.parametrize("options", ["", "?prepare_threshold=0"])
def test_pooler_may_give_each_transaction_another_connection(empty_postgres_url: str, options: str) -> None:
    """Nothing is left on the server's side, as a statement that was prepared would be."""
    store = Store(f"{empty_postgres_url}{options}")
    for _ in range(12):
        _count(store)

    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar() == 0
    store.dispose()


def test_who_is_stopped_in_a_transaction_stops_nobody_else(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine may even be gone, without a word to the server."""
    monkeypatch.setattr(postgresql, "_LONGEST_IDLE", "200ms")
    stopped, other = Store(empty_postgres_url), Store(empty_postgres_url)
    with stopped.begin() as connection:
        counters.create(connection)
        connection.execute(counters.insert().values(name="a", value=1))
    with pytest.raises(StoreError):
        _go_on_after(other, stopped)
    with stopped.read() as connection:
        assert connection.execute(sa.select(counters.c.value)).scalar() == 2
    for store in (stopped, other):
        store.dispose()


def _go_on_after(other: Store, stopped: Store) -> None:
    with stopped.begin() as connection:
        connection.execute(counters.update().values(value=5))
        with other.begin() as another:
            another.execute(counters.update().values(value=counters.c.value + 1))
        connection.execute(counters.update().values(value=6))


def test_who_is_stopped_while_it_writes_many_rows_stops_nobody_else(empty_postgres_url: str) -> None:
    store = Store(empty_postgres_url)
    _count(store)
    with subprocess.Popen([sys.executable, "-c", MANY_ROWS, empty_postgres_url]) as writer:
        begun = sa.text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO test_counters%'")
        with store.read() as connection:
            while not connection.execute(begun).scalar():
                assert writer.poll() is None
        writer.send_signal(signal.SIGSTOP)
        try:
            with store.begin() as connection:
                connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
                connection.execute(counters.insert().values(name="0", value=5))
        finally:
            writer.kill()
    assert _counted(store) == 1
    store.dispose()


def test_a_lock_that_somebody_keeps_is_a_store_error(empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that was left open by hand, with what it changed: nothing ends it."""
    monkeypatch.setattr(postgresql, "_LONGEST_LOCKED", "200ms")
    store = Store(empty_postgres_url)
    _count(store)
    engine = sa.create_engine(parse_store_url(empty_postgres_url))
    with engine.begin() as by_hand:
        by_hand.execute(counters.update().values(value=5))
        with pytest.raises(StoreError, match="lock timeout"):
            _count(store)
    _count(store)
    assert _counted(store) == 6
    engine.dispose()
    store.dispose()


@pytest.mark.parametrize(("query", "seconds"), [("", 25), ("?tcp_user_timeout=7000", 7)])
def test_server_that_vanishes_without_a_word_is_given_up(empty_postgres_url: str, query: str, seconds: float) -> None:
    store = Store(empty_postgres_url + query)
    with store.read() as connection:
        file = connection.connection.dbapi_connection.fileno()  # type: ignore[union-attr]
        with socket.socket(fileno=os.dup(file)) as network:
            assert network.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == seconds * 1000
            assert network.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
    store.dispose()


def test_server_without_a_connection_left_is_waited_for(empty_postgres_url: str) -> None:
    first, second = Store(_as_limited_role(empty_postgres_url)), Store(_as_limited_role(empty_postgres_url))
    _count(first)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_count, second)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        first.dispose()
        waiting.result(20)

    assert _counted(second) == 2
    second.dispose()


def test_server_that_stays_full_is_a_store_error(empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "_WAIT_SECONDS", 0.1)
    first, second = Store(_as_limited_role(empty_postgres_url)), Store(_as_limited_role(empty_postgres_url))
    _count(first)

    with pytest.raises(StoreError, match="too many connections"):
        _count(second)
    first.dispose()


def test_processes_take_turns_where_connections_are_few(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_TURN_SECONDS", 0.1)
    stores = [Store(_as_limited_role(empty_postgres_url)) for _ in range(3)]
    for _ in range(2):
        for store in stores:
            _count(store)

    assert _counted(stores[0]) == 6
    deadline = time.monotonic() + 10
    while (left := _connections(empty_postgres_url)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == 0, "an idle process holds none"


def test_values_are_in_no_log_of_sqlalchemy(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sqlalchemy")
    store = Store(url)
    with store.begin() as connection:
        counters.create(connection, checkfirst=True)
        connection.execute(counters.insert().values(name="jane@example.com", value=1))
        assert connection.execute(sa.select(counters)).all() == [("jane@example.com", 1)]
    store.dispose()

    assert "jane" not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("sqlalchemy.engine")]


def test_values_are_in_no_error(url: str) -> None:
    """PostgreSQL tells the row that does not fit, and SQLAlchemy what was to be stored."""
    store = Store(url)
    _count(store)

    with pytest.raises(StoreError) as caught, store.begin() as connection:
        connection.execute(counters.insert().values(name="jane@example.com"))

    assert "jane" not in "".join(traceback.format_exception(caught.value))
    store.dispose()


def _as_limited_role(url: str) -> str:
    """Make a role that may have one connection to the database, and return its URL."""
    with _server(url).begin() as connection:
        name = connection.exec_driver_sql("SELECT 'limited_' || current_database()").scalar_one()
        if not connection.exec_driver_sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'").scalar():
            connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 1")
            connection.exec_driver_sql(f"ALTER DATABASE {make_url(url).database} OWNER TO {name}")
    return make_url(url).set(username=name).render_as_string(hide_password=False)


def _connections(url: str) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with _server(url).begin() as connection:
        return int(connection.exec_driver_sql(query).scalar_one())


def _server(url: str) -> sa.engine.Engine:
    return sa.create_engine(parse_store_url(url), poolclass=sa.pool.NullPool)


def _open_files(path: Path) -> list[Path]:
    # A descriptor can be gone by the time it is looked at.
    targets = (Path(os.path.realpath(descriptor)) for descriptor in Path("/proc/self/fd").iterdir())
    return [target for target in targets if target.parent == path.parent.resolve()]
