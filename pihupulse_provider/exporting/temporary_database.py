"""A temporary database on disk for one bulk operation, so that memory does not grow with the number of rows.

SQLite unlinks the file as soon as it has opened it: nothing is left behind, whatever becomes of the process.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pihupulse_provider.api.errors import PihuPulseError

_CHUNK = 500


class TemporaryDatabaseError(PihuPulseError):
    """The temporary files of a bulk operation can't be written."""


class TemporaryDatabase:
    """Tables that live as long as the operation; use it as a context manager, or close it.

    :param schema: the statements that make the tables.
    """

    def __init__(self, schema: str) -> None:
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {schema}")

    def __enter__(self) -> TemporaryDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the disk space."""
        self._connection.close()

    def run(self, statement: str, *values: Any) -> int:
        """Execute a statement and return how many rows it changed."""
        with _disk_errors():
            return self._connection.execute(statement, values).rowcount

    def run_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement for each of the rows."""
        with _disk_errors():
            self._connection.execute("BEGIN")
            self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")

    def rows(self, query: str, *values: Any) -> Iterator[Any]:
        """Iterate over a query's rows; nothing they depend on may be changed meanwhile."""
        with _disk_errors():
            cursor = self._connection.execute(query, values)
            while chunk := cursor.fetchmany(_CHUNK):
                yield from chunk

    def all(self, query: str, *values: Any) -> list[Any]:
        """Return a query's rows."""
        return list(self.rows(query, *values))

    def value(self, query: str, *values: Any) -> Any:
        """Return the first column of a query's first row."""
        with _disk_errors():
            return self._connection.execute(query, values).fetchone()[0]


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise TemporaryDatabaseError(
            f"The temporary database of this task failed: {error}. Free some disk space, or point SQLITE_TMPDIR of "
            f"the worker to a larger disk (SQLite's usual place is /var/tmp, Python's {tempfile.gettempdir()})."
        ) from error
