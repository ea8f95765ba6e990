"""A connection that stays open: without the steps that a pool takes to lend one and to take it back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy.engine import Engine

T = TypeVar("T")


class KeptConnection:
    """One connection of an engine's, opened when it is first needed; safe to share between threads.

    Each statement is durable by itself unless it is told to begin a transaction. After any error the connection is
    closed, and opened anew for what comes next.

    :param is_stale: says whether a connection with that ``info`` must not be used any more.
    """

    def __init__(self, engine: Engine, is_stale: Callable[[dict[Any, Any]], bool]) -> None:
        self._engine = engine
        self._is_stale = is_stale
        self._dialect: Any = engine.dialect
        self._connection: Any = None
        self._info: dict[Any, Any] = {}
        self._lock = threading.Lock()

    def run(self, work: Callable[[Any], T]) -> T:
        """Return what ``work`` does with a driver's cursor; once more if the connection broke since the last use."""
        with self._lock:
            return self._run(work)

    def close(self) -> None:
        """Close the connection, if it is open."""
        with self._lock:
            self._close()

    def _run(self, work: Callable[[Any], T]) -> T:
        if self._connection is not None and self._is_stale(self._info):
            self._close()
        was_open = self._connection is not None
        try:
            if not was_open:
                self._connection = self._open()
            return work(self._connection.cursor())
        except BaseException as error:
            is_broken = was_open and self._is_broken(error)
            self._close()
            if not is_broken:
                raise
        return self._run(work)

    def _open(self) -> Any:
        fairy: Any = self._engine.raw_connection()
        self._info = dict(fairy.info)
        connection = fairy.dbapi_connection
        fairy.detach()  # it takes no place in the pool
        self._dialect.set_isolation_level(connection, "AUTOCOMMIT")
        if self._dialect.name == "sqlite":
            connection.cursor().execute("PRAGMA synchronous=FULL")
        return connection

    def _is_broken(self, error: BaseException) -> bool:
        return bool(self._dialect.is_disconnect(error, self._connection, None))

    def _close(self) -> None:
        if self._connection is None:
            return
        with suppress(self._dialect.dbapi.Error):
            # The error's traceback can hold the cursor, and SQLite keeps a lock until the last of them is gone.
            self._connection.rollback()
        with suppress(self._dialect.dbapi.Error):
            self._connection.close()
        self._connection = None
