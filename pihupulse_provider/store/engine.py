"""The store's database: SQLite for one machine, PostgreSQL for a fleet.

It is never Airflow's metadata database, and losing it loses speed, never correctness.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.store import migrations
from pihupulse_provider.store.direct_append import DirectConnection, EventRow, append_on_postgresql, append_on_sqlite
from pihupulse_provider.store.postgresql import has_none_left, messages, postgresql_engine, write_temporary_file
from pihupulse_provider.store.sqlite import (
    SqliteFile,
    network_file_system,
    others_gave_up,
    sqlite_engine,
    sqlite_path,
)
from pihupulse_provider.store.store_url import parse_store_url, shown_url, without_secrets

log = logging.getLogger(__name__)
metadata = sa.MetaData()
_SCHEMA_LOCK = 0x70696875
"""The advisory lock under which PostgreSQL's tables are made: two makers at once would fail each other."""
_ROOM = 1 << 18
"""How many bytes must fit on the disk for a SQLite file to count as writable."""


class StoreError(PihuPulseError):
    """The store can't be reached or written; the message names it without its password."""


class NoConnectionLeftError(StoreError):
    """The database server is there, and other processes use all connections that it allows."""


class StoreVersionError(StoreError):
    """The store was upgraded by a newer version of this package; this one leaves it alone."""


class Store:
    """A database that holds our state; safe to share between threads, not between processes.

    The first transaction makes the tables, or upgrades those of an older version. On PostgreSQL a store has one
    connection, for which the threads of its process wait.

    :param url: a SQLAlchemy URL of SQLite or PostgreSQL.
    :param wall_clock: the machine's time in epoch seconds, which is SQLite's time; PostgreSQL has a clock of its own.
    :ivar stalls: how often this process kept SQLite's lock for so long, as it was stopped, that others may have gone on
        without the store.
    :raises ConfigurationError: if the URL can't be read, names another database, or its driver is missing.
    """

    def __init__(self, url: str, wall_clock: Callable[[], float] = time.time) -> None:
        self._url = parse_store_url(url)
        self._wall_clock = wall_clock
        path = sqlite_path(self._url) if self.is_sqlite else None
        self._file = SqliteFile(path) if path is not None else None
        self._engine = sqlite_engine(self._url, self._file) if self.is_sqlite else postgresql_engine(self._url)
        self._durable = self._engine.execution_options(pihupulse_durable=True)
        self._passing = self._engine.execution_options(pihupulse_durable=False)
        # On PostgreSQL each statement sees what is committed, in a transaction or not: reading needs none.
        reading: dict[str, Any] = {"pihupulse_read": True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._reading = self._engine.execution_options(**reading)
        self._driver_error: type[Exception] = self._engine.dialect.dbapi.Error  # type: ignore[union-attr]
        is_current = self._file.is_current if self._file is not None else lambda _info: True
        self._direct = DirectConnection(self._engine, is_current)
        weakref.finalize(self, _dispose, self._engine, self._direct, os.getpid()).atexit = False
        self.stalls = 0
        self._upgraded: object = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Store({str(self)!r})"

    def __str__(self) -> str:
        """Return the URL without its secrets."""
        return shown_url(self._url)

    @property
    def is_sqlite(self) -> bool:
        """Return whether the store is a file of this machine."""
        return self._url.get_backend_name() == "sqlite"

    @property
    def is_in_memory(self) -> bool:
        """Return whether the store is SQLite without a file, which no other process sees, nor always another thread."""
        return self.is_sqlite and self._file is None

    @contextmanager
    def begin(self, *, durable: bool = True) -> Iterator[Connection]:
        """Open a transaction that writes.

        On SQLite it holds the write lock from its start, so that what it read still stands when it writes.

        :param durable: whether what it wrote must outlive a power cut, and not only the process.
        :raises StoreError: if the database can't be reached, is full, or stays locked for 30 seconds.
        """
        # From before it asks: it may be stopped when it has just got the lock, or as it upgrades the schema.
        asked_at, has_lock = time.monotonic(), False
        try:
            with self._failing():
                self._upgrade()
                with (self._durable if durable else self._passing).begin() as connection:
                    has_lock = True
                    yield connection
        finally:
            if has_lock and self.is_sqlite and others_gave_up(time.monotonic() - asked_at):
                self.stalls += 1

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection to read with, which takes no lock and waits for no writer.

        On SQLite all its statements see the same state; on PostgreSQL each sees what is committed when it begins.

        :raises StoreError: if the database can't be reached.
        """
        with self._failing():
            self._upgrade()
            with self._reading.begin() as connection:
                yield connection

    @contextmanager
    def messages(self) -> Iterator[Callable[[str, Mapping[str, Any]], Any]]:
        """Hand out what sends PostgreSQL several statements at once: :func:`.postgresql.messages`.

        :raises StoreError: if the database can't be reached, or refuses a statement.
        """
        with self._failing():
            self._upgrade()
            with messages(self._reading) as send:
                yield send

    def append_events(self, rows: Sequence[EventRow]) -> set[bytes]:
        """Insert rows into the inbox in their order, durably, and return the identities of those that were not there.

        :raises StoreError: if the store can't be written; then none of them is stored.
        """
        with self._failing():
            return self._direct.run(lambda cursor: self._append(cursor, rows), self._upgrade)

    def problems(self) -> list[str]:
        """Return in a sentence each what makes the place of the store a bad one, although it works."""
        kind = network_file_system(self._file.path) if self._file is not None else None
        problem = (
            f"The store {self} is on a network file system ({kind}), where SQLite's locks can't be relied on: put it "
            "on a local disk, or use PostgreSQL if several machines share it."
        )
        return [problem] if kind else []

    def check_space(self) -> None:
        """Check that the database's disk takes more: on a full one small writes can go well for a while.

        :raises StoreError: if it does not.
        """
        if not self.is_sqlite:
            with self.begin(durable=False) as connection:
                write_temporary_file(connection)
        if self._file is None:
            return
        self._file.prepare()
        try:
            with tempfile.TemporaryFile(dir=self._file.path.parent, buffering=0) as file:
                os.posix_fallocate(file.fileno(), 0, _ROOM)
        except OSError as error:
            raise StoreError(f"The store {self} can't grow: {self._file.problem() or error.strerror}") from error

    def now(self, connection: Connection) -> float:
        """Return the time that all processes share, in epoch seconds: the database server's, or this machine's."""
        if self.is_sqlite:
            return self._wall_clock()
        return float(connection.execute(sa.select(sa.extract("epoch", sa.func.clock_timestamp()))).scalar_one())

    def dispose(self) -> None:
        """Close all connections."""
        _dispose(self._engine, self._direct, os.getpid())

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, self._driver_error) as error:
            self._begin_anew()
            raise self._error(error) from None  # the driver's own text can hold values

    def _begin_anew(self) -> None:
        """After an error take nothing for granted: neither the schema, nor that SQLite's file is what it was."""
        self._upgraded = None
        if self._file is not None:
            self._file.give_up_connections()

    def _append(self, cursor: Any, rows: Sequence[EventRow]) -> set[bytes]:
        if self.is_sqlite:
            return append_on_sqlite(cursor, rows, self._wall_clock)
        return append_on_postgresql(cursor, rows)

    def _upgrade(self) -> None:
        """Bring the schema to this package's version; one look at it, once a process, where it is there already."""
        if self._upgraded is not None and self._upgraded == self._place():
            return
        with self._lock:
            with self._reading.begin() as connection:
                version = self._version(connection)
            if version != migrations.HEAD:
                self._upgrade_locked()
            self._upgraded = self._place()

    def _place(self) -> object:
        return self._url if self._file is None else self._file.identity()

    def _upgrade_locked(self) -> None:
        migrations.load()
        with self._durable.begin() as connection:
            if not self.is_sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
            version = self._version(connection)
            if version == migrations.HEAD:
                return
            migrations.upgrade(connection, version)
        # A handler may keep what it is given, and the store must not live as long.
        log.info("Brought the schema of the store %s to version %s.", str(self), migrations.HEAD)

    def _version(self, connection: Connection) -> str | None:
        version = migrations.current_version(connection)
        if version is not None and version > migrations.HEAD:
            raise StoreVersionError(
                f"The store {self} has the schema version {version}, which a newer version of "
                f"airflow-provider-pihupulse gave it. The one installed here knows versions up to {migrations.HEAD} "
                "and leaves it alone: upgrade the package here as well."
            )
        return version

    def _error(self, error: Exception) -> StoreError:
        cause = getattr(error, "orig", None) or error
        first_line = next(iter(str(cause).splitlines()), type(cause).__name__)
        problem = self._file.problem() if self._file is not None else None
        message = f"The store {self} failed: {without_secrets(first_line, self._url)}"
        kind = NoConnectionLeftError if has_none_left(cause) else StoreError
        return kind(f"{message}: {problem}" if problem else message)


def _dispose(engine: Engine, direct: DirectConnection, owner: int) -> None:
    """Close what is left open when a store is collected, but never a parent process's connections."""
    if os.getpid() == owner:
        direct.close()
        engine.dispose()


_stores: dict[tuple[int, str], Store] = {}
_stores_lock = threading.Lock()


def open_store(url: str) -> Store:
    """Return this process's one store for a URL: tasks are forked, and a connection must not be."""
    with _stores_lock:
        key = (os.getpid(), url)
        if key not in _stores:
            _stores[key] = Store(url)
        return _stores[key]


def insert_once(connection: Connection, table: sa.Table, values: Mapping[str, Any]) -> None:
    """Insert a row unless its key is there already, be it from another process a moment ago."""
    try:
        with connection.begin_nested():
            connection.execute(sa.insert(table).values(**values))
    except IntegrityError:
        return
