"""What is said of a database's error, so that no log shows a value of a row.

A database's own words help most, but may show what a row holds: those of a constraint show the row, and a trigger may
say anything. They are repeated where no row can be in them; else it is said which kind of error it was, and of what.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

_SAFE_CLASSES = frozenset({"08", "28", "3D", "3F", "42", "53", "57"})
"""Of SQLSTATE: connection, access, no such database or schema, the statement itself, resources, the operator."""
_SAFE_SQLITE_CODES = frozenset(
    {
        *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY),
        *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN),
        *(sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_NOTADB),
        # These name the columns or the constraint; that of a trigger has the trigger's words.
        *(sqlite3.SQLITE_CONSTRAINT_CHECK, sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, sqlite3.SQLITE_CONSTRAINT_NOTNULL),
        *(sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE),
    }
)
_NO_SUCH = ("no such table: ", "no such column: ")
"""How SQLite itself begins, of a statement or a trigger's body; a trigger may say so, too, with a code of its own."""


def reason(error: SQLAlchemyError | OverflowError, *, with_rows: bool) -> str:
    """Return what is said of an error.

    :param with_rows: whether rows have been given to the database, so that its words may show one.
    """
    if isinstance(error, OverflowError):
        return str(error)
    cause: Any = getattr(error, "orig", None)
    if cause is None:
        return type(error).__name__
    if not with_rows or _has_safe_words(cause):
        return next(iter(str(cause).splitlines()), type(cause).__name__)
    return ", ".join([type(cause).__name__, *_details(cause)])


def _has_safe_words(cause: Any) -> bool:
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0)
        is_safe = code in _SAFE_SQLITE_CODES or code & 0xFF in _SAFE_SQLITE_CODES
        return is_safe or (code == sqlite3.SQLITE_ERROR and str(cause).startswith(_NO_SUCH))
    state = _sqlstate(cause)
    if state is None:  # from psycopg itself: the connection broke, or can't be made
        return hasattr(cause, "diag") and any(kind.__name__ == "OperationalError" for kind in type(cause).__mro__)
    return state[:2] in _SAFE_CLASSES


def _details(cause: Any) -> Iterator[str]:
    if name := getattr(cause, "sqlite_errorname", None):
        yield name
    if state := _sqlstate(cause):
        yield f"SQLSTATE {state}"
    elif cause.args and isinstance(cause.args[0], int):  # as MySQL's drivers do
        yield f"error {cause.args[0]}"
    diagnosis = getattr(cause, "diag", None)
    for kind in ("column", "constraint"):
        if name := getattr(diagnosis, f"{kind}_name", None):
            yield f"{kind} {name}"


def _sqlstate(cause: Any) -> str | None:
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
