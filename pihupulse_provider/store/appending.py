"""Puts events at the end of the inbox, leaving out those that are there: on SQLite, and on PostgreSQL in one statement.

Deliveries wait for this, so it takes as few steps as it can, and talks to the driver itself. Either way the head's row
stays locked until the commit: nobody else gets a position before that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pihupulse_provider.store.event_rows import head_table, insert_once

Rows = Sequence[Mapping[str, Any]]
"""Rows of :data:`~pihupulse_provider.store.event_rows.events_table` without their positions."""

_MOVE_HEAD = "UPDATE pihupulse_inbox SET position = position + ?"
_HEAD = "SELECT position FROM pihupulse_inbox"
_NEW = "SELECT identity FROM pihupulse_events WHERE position >= ?"
_ARRAYS = {
    "connection": "text",
    "event": "text",
    "identity": "bytea",
    "received_at": "float8",
    "screening_id": "text",
    "candidate_id": "text",
    "template_id": "text",
    "body": "bytea",
}
_INSERT = (
    f"INSERT OR IGNORE INTO pihupulse_events (position, {', '.join(_ARRAYS)}) "  # noqa: S608 - the names are those above
    f"VALUES (?{', ?' * len(_ARRAYS)})"
)
_INSERT_ARRAYS = f"""
    WITH head AS (UPDATE pihupulse_inbox SET position = position + %(count)s RETURNING position - %(count)s AS start)
    INSERT INTO pihupulse_events (position, {", ".join(_ARRAYS)})
    SELECT head.start + new.number, {", ".join(f"new.{name}" for name in _ARRAYS)}
    FROM head, unnest({", ".join(f"CAST(%({name})s AS {kind}[])" for name, kind in _ARRAYS.items())})
        WITH ORDINALITY AS new ({", ".join(_ARRAYS)}, number)
    ON CONFLICT DO NOTHING
    RETURNING identity
    """  # noqa: S608 - the names are those above


def append_rows(connection: Connection, rows: Rows) -> set[bytes]:
    """Insert rows in their order, and return the identities of those that were not there."""
    append = _append_on_sqlite if connection.dialect.name == "sqlite" else _append_on_postgresql
    cursor = connection.connection.cursor()
    appended = append(cursor, rows)
    if not appended and connection.execute(sa.select(head_table.c.id)).scalar() is None:
        insert_once(connection, head_table, {"id": 1, "position": 0})
        appended = append(cursor, rows)
    return appended


def _append_on_postgresql(cursor: Any, rows: Rows) -> set[bytes]:
    arrays = {name: [row[name] for row in rows] for name in _ARRAYS}
    cursor.execute(_INSERT_ARRAYS, {"count": len(rows), **arrays})
    return {bytes(identity) for (identity,) in cursor.fetchall()}


def _append_on_sqlite(cursor: Any, rows: Rows) -> set[bytes]:
    if cursor.execute(_MOVE_HEAD, (len(rows),)).rowcount == 0:
        return set()
    first = cursor.execute(_HEAD).fetchone()[0] - len(rows) + 1
    placed = [(position, *(row[name] for name in _ARRAYS)) for position, row in enumerate(rows, first)]
    if cursor.executemany(_INSERT, placed).rowcount == len(rows):
        return {row["identity"] for row in rows}
    return {identity for (identity,) in cursor.execute(_NEW, (first,))}
