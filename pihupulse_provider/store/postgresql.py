"""PostgreSQL as a store: one connection for a process, which it keeps for its turn only."""

from __future__ import annotations

import random
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from pihupulse_provider.api import clock
from pihupulse_provider.store.store_url import quiet_engine, secret_options

_WAIT_SECONDS = 30
"""How long is waited for a connection: for the process's own, and for one of the server's."""
_TURN_SECONDS = 5
"""How long a connection is kept: processes can be more than the server has connections."""
_CONNECT_SECONDS = 10
_LONGEST_IDLE = "5s"
"""How long a transaction may wait for its process, which may be stopped, or gone with its machine, and holds locks."""
_LONGEST_LOCKED = "30s"
"""How long a transaction waits for a lock that somebody else keeps, such as a session that was left open by hand."""
_GONE_AFTER = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
"""After how long a server that vanished without a word is given up: seconds, the last milliseconds. Hours, else."""
_MESSAGE_ROWS = 100
"""How many rows at most one message tells of: some 40 kB, which the system takes at once."""
_NONE_LEFT = re.compile("too many (clients|connections)|connection slots are reserved|no more connections allowed")
"""How PostgreSQL and PgBouncer say so; a connection that failed has no code."""


def postgresql_engine(url: URL) -> Engine:
    """Return an engine with one connection, for which threads wait."""
    network = {"connect_timeout": _CONNECT_SECONDS, **_GONE_AFTER}
    arguments: dict[str, Any] = secret_options(url)
    arguments.update((name, value) for name, value in network.items() if name not in url.query)
    if url.drivername == "postgresql+psycopg":
        arguments["prepare_threshold"] = None  # a pooler such as PgBouncer gives each transaction another connection
    url = url.difference_update_query([*secret_options(url), "prepare_threshold"])
    pool = {"pool_pre_ping": True, "pool_size": 1, "max_overflow": 0, "pool_timeout": _WAIT_SECONDS}
    engine = quiet_engine(url, connect_args=arguments, **pool)
    sa.event.listen(engine, "do_connect", _connect_in_turn)
    sa.event.listen(engine, "begin", _begin)
    sa.event.listen(engine, "do_executemany", _execute_many)
    _Turns(engine)
    return engine


def has_none_left(error: Exception) -> bool:
    """Return whether an error says that the server has no connection left."""
    return _NONE_LEFT.search(str(error)) is not None


def prepare_at_once(connection: Any) -> None:
    """Have a connection of the driver prepare each statement when it is first used, if the server itself is there.

    A pooler such as PgBouncer, which may give each transaction another connection, tells its clients of a process that
    is none of the server's.
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    if row == (connection.info.backend_pid,):
        connection.prepare_threshold = 0


@contextmanager
def messages(engine: Engine) -> Iterator[Callable[[str, Mapping[str, Any]], Any]]:
    """Hand out what sends the server several statements as one message, which takes one round trip.

    It returns the first row of the last statement, or None. Each statement is committed by itself, unless they say
    ``BEGIN``; then they must also say ``COMMIT``.
    """
    with engine.connect() as connection:
        cursor = _cursor_with_values(connection.dialect, connection.connection.dbapi_connection)

        def send(statements: str, values: Mapping[str, Any]) -> Any:
            cursor.execute(statements, values)
            while connection.dialect.driver == "psycopg" and cursor.nextset():
                pass
            return cursor.fetchone() if cursor.description else None

        try:
            yield send
        except BaseException:
            connection.invalidate()  # a transaction may be open that the pool knows nothing of
            raise


def write_temporary_file(connection: Connection) -> None:
    """Let the server write a file of some 300 kB that is gone at once, which fails where its disk is full.

    It lies where the tables do, unless ``temp_tablespaces`` says otherwise.
    """
    connection.exec_driver_sql("SET LOCAL work_mem = '64kB'")
    connection.exec_driver_sql("SELECT count(*) FROM generate_series(1, 20000)")


def time_limits() -> str:
    """Return the statement that has the server bound a transaction; said for it alone, as poolers keep what is."""
    return (
        f"SELECT set_config('idle_in_transaction_session_timeout', '{_LONGEST_IDLE}', true), "
        f"set_config('lock_timeout', '{_LONGEST_LOCKED}', true)"
    )


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(time_limits())


def _execute_many(cursor: Any, statement: str, rows: Sequence[Any], context: Any) -> bool:
    """Execute a statement for each of some rows, in few messages, each of which the server gets at once.

    psycopg sends several for each row, and says at the very end that it waits for a response. Until then PostgreSQL
    does not count a transaction as idle: a process that is stopped in between would keep its locks for as long.
    """
    values = _cursor_with_values(context.dialect, cursor.connection)
    for start in range(0, len(rows), _MESSAGE_ROWS):
        statements = [values.mogrify(statement, row) for row in rows[start : start + _MESSAGE_ROWS]]
        cursor.execute((b";" if isinstance(statements[0], bytes) else ";").join(statements))
    return True


def _cursor_with_values(dialect: Any, connection: Any) -> Any:
    """Return a cursor that puts values into the text: apart from it the server takes them for one statement only."""
    return dialect.dbapi.ClientCursor(connection) if dialect.driver == "psycopg" else connection.cursor()


def _connect_in_turn(dialect: Any, _record: object, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
    """Connect, and wait for a while when the server has no connection left: others give theirs up."""
    until = clock.now() + _WAIT_SECONDS
    while True:
        try:
            return dialect.connect(*arguments, **options)
        except dialect.dbapi.OperationalError as error:
            if not has_none_left(error) or clock.now() > until:
                raise
        time.sleep(random.uniform(0.1, 0.5))


class _Turns:
    """Closes an engine's connection some time after it was opened, whether it is used or idle."""

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine)
        self._open: object = None
        sa.event.listen(engine, "connect", self._begin)
        sa.event.listen(engine, "close", self._closed)
        sa.event.listen(engine, "detach", self._closed)

    def _begin(self, connection: object, _record: object) -> None:
        self._open = connection
        timer = threading.Timer(_TURN_SECONDS, self._end, (connection,))
        timer.daemon = True
        timer.start()

    def _closed(self, connection: object, _record: object) -> None:
        if self._open is connection:
            self._open = None

    def _end(self, connection: object) -> None:
        engine = self._engine()
        if engine is None or self._open is not connection:
            return
        with suppress(SQLAlchemyError, engine.dialect.dbapi.Error):  # type: ignore[union-attr]
            taken = engine.raw_connection()  # once nobody uses it
            if taken.dbapi_connection is connection:
                taken.invalidate()
            else:
                taken.close()
