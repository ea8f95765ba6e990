"""The store's database: SQLite for one machine, PostgreSQL for a fleet.

It is never Airflow's metadata database, and losing it loses speed, never correctness.
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from pihupulse_provider.api.errors import ConfigurationError, PihuPulseError
from pihupulse_provider.store.kept import KeptConnection

T = TypeVar("T")
metadata = sa.MetaData()
_LOCK_SECONDS = 30
_SCHEMA_LOCK = 0x70696875
"""The advisory lock under which PostgreSQL's tables are made: two makers at once would fail each other."""


class StoreError(PihuPulseError):
    """The store can't be reached or written; the message names it without its password."""


class Store:
    """A database that holds our state; safe to share between threads, not between processes.

    :param url: any SQLAlchemy URL; SQLite and PostgreSQL are tested.
    :param wall_clock: the machine's time in epoch seconds, which is SQLite's time; PostgreSQL has a clock of its own.
    :raises ConfigurationError: if the URL can't be read or its driver is missing.
    """

    def __init__(self, url: str, wall_clock: Callable[[], float] = time.time) -> None:
        self._url = _parse(url)
        self._wall_clock = wall_clock
        self._engine = _engine(self._url)
        self._lasting, self._passing = (
            self._engine.execution_options(pihupulse_durable=durable) for durable in (True, False)
        )
        self._driver_error: type[Exception] = self._engine.dialect.dbapi.Error  # type: ignore[union-attr]
        self._kept = KeptConnection(self._engine)
        weakref.finalize(self, _dispose, self._engine, self._kept, os.getpid()).atexit = False
        self._created: set[str] = set()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Store({str(self)!r})"

    def __str__(self) -> str:
        """Return the URL without its password."""
        return self._url.render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        """Return whether the store is a file of this machine."""
        return self._url.get_backend_name() == "sqlite"

    @contextmanager
    def begin(self, *tables: sa.Table, durable: bool = True) -> Iterator[Connection]:
        """Open a transaction that may write to these tables, making those that are missing.

        On SQLite it holds the write lock from its start, so that what it read still stands when it writes.

        :param durable: whether what it wrote must outlive a power cut, and not only the process.
        :raises StoreError: if the database can't be reached, is full, or stays locked for 30 seconds.
        """
        with self._failing():
            self._create(tables)
            with (self._lasting if durable else self._passing).begin() as connection:
                yield connection

    def run_kept(self, work: Callable[[Any], T], *tables: sa.Table) -> T:
        """Return what ``work`` does with a cursor of the driver's, on one connection that is kept for such work.

        This is for what must take as few steps as it can. Nothing is around it: ``work`` begins and commits, durably,
        and it is done a second time when the connection turns out to be broken.

        :raises StoreError: if the database can't be reached, is full, or stays locked for 30 seconds.
        """
        with self._failing():
            self._create(tables)
            return self._kept.run(work)

    def now(self, connection: Connection) -> float:
        """Return the time that all processes share, in epoch seconds: the database server's, or this machine's."""
        if self.is_sqlite:
            return self._wall_clock()
        return float(connection.execute(sa.select(sa.extract("epoch", sa.func.clock_timestamp()))).scalar_one())

    def dispose(self) -> None:
        """Close all connections."""
        _dispose(self._engine, self._kept, os.getpid())

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, self._driver_error) as error:
            raise self._error(error) from error

    def _create(self, tables: Sequence[sa.Table]) -> None:
        missing = [table for table in tables if table.name not in self._created]
        if not missing:
            return
        with self._lock, self._engine.begin() as connection:
            if self._url.get_backend_name() == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
            for table in missing:
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))
        self._created.update(table.name for table in missing)

    def _error(self, error: Exception) -> StoreError:
        cause = getattr(error, "orig", None) or error
        first_line = next(iter(str(cause).splitlines()), type(cause).__name__)
        return StoreError(f"The store {self} failed: {first_line}")


def _dispose(engine: Engine, kept: KeptConnection, owner: int) -> None:
    """Close what is left open when a store is collected, but never a parent process's connections."""
    if os.getpid() == owner:
        kept.close()
        engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "[pihupulse] store_url is not a database URL. Use one such as sqlite:////var/lib/pihupulse.db or "
            "postgresql://user:password@host/database."
        ) from None
    return parsed.set(drivername=_postgres_driver()) if parsed.drivername in ("postgres", "postgresql") else parsed


def _postgres_driver() -> str:
    modern = sa.__version__ >= "2" and importlib.util.find_spec("psycopg") is not None
    return "postgresql+psycopg" if modern else "postgresql+psycopg2"


def _engine(url: URL) -> Engine:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.get_backend_name() == "sqlite":
        options = {"connect_args": {"timeout": _LOCK_SECONDS, "check_same_thread": False}}
        if url.database and url.database != ":memory:":
            # SQLAlchemy 1.4 would open the file anew for each transaction.
            options["poolclass"] = sa.pool.QueuePool
            with suppress(OSError):  # connecting then says what is wrong, each time it is tried
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        engine = sa.create_engine(url, future=True, **options)
    except (ImportError, SQLAlchemyError) as error:
        raise ConfigurationError(
            f"[pihupulse] store_url needs a database driver that is not installed: {error}. "
            'For PostgreSQL: pip install "airflow-provider-pihupulse[postgres]".'
        ) from error
    if url.get_backend_name() == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions would begin only at the first write: too late to read and then write.
    connection.isolation_level = None
    cursor = connection.cursor()
    # A new file is switched once for all. Whoever meets another at it is refused at once, however long it may wait.
    with suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    durable = connection.get_execution_options().get("pihupulse_durable", True)
    if connection.info.get("durable") is not durable:
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.info["durable"] = durable
    connection.exec_driver_sql("BEGIN IMMEDIATE")


_stores: dict[tuple[int, str], Store] = {}
_stores_lock = threading.Lock()


def open_store(url: str) -> Store:
    """Return this process's one store for a URL: tasks are forked, and a connection must not be."""
    with _stores_lock:
        key = (os.getpid(), url)
        if key not in _stores:
            _stores[key] = Store(url)
        return _stores[key]
