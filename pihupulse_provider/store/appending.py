"""Puts events at the end of the inbox, leaving out those that are there: on SQLite, and on PostgreSQL in one statement.

Deliveries wait for this, so it takes as few steps as it can. Either way the head's row stays locked until the commit:
nobody else gets a position before that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pihupulse_provider.store.event_rows import events_table, head_table, insert_once

Rows = Sequence[Mapping[str, Any]]
"""Rows of :data:`events_table` without their positions."""

_MOVE_HEAD = "UPDATE pihupulse_inbox SET position = position + ?"
_HEAD = "SELECT position FROM pihupulse_inbox"
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
_INSERT_ARRAYS = sa.text(
    f"""
    WITH head AS (UPDATE pihupulse_inbox SET position = position + :count RETURNING position - :count AS start)
    INSERT INTO pihupulse_events (position, {", ".join(_ARRAYS)})
    SELECT head.start + new.number, {", ".join(f"new.{name}" for name in _ARRAYS)}
    FROM head, unnest({", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _ARRAYS.items())})
        WITH ORDINALITY AS new ({", ".join(_ARRAYS)}, number)
    ON CONFLICT DO NOTHING
    RETURNING identity
    """  # noqa: S608 - the names are those above
)


def append_rows(connection: Connection, rows: Rows) -> set[bytes]:
    """Insert rows in their order, and return the identities of those that were not there."""
    append = _append_on_sqlite if connection.dialect.name == "sqlite" else _append_on_postgresql
    appended = append(connection, rows)
    if not appended and connection.execute(sa.select(head_table.c.id)).scalar() is None:
        insert_once(connection, head_table, {"id": 1, "position": 0})
        appended = append(connection, rows)
    return appended


def _append_on_postgresql(connection: Connection, rows: Rows) -> set[bytes]:
    arrays = {name: [row[name] for row in rows] for name in _ARRAYS}
    return {bytes(row[0]) for row in connection.execute(_INSERT_ARRAYS, {"count": len(rows), **arrays})}


def _append_on_sqlite(connection: Connection, rows: Rows) -> set[bytes]:
    if connection.exec_driver_sql(_MOVE_HEAD, (len(rows),)).rowcount == 0:
        return set()
    first: int = connection.exec_driver_sql(_HEAD).scalar_one() - len(rows) + 1
    placed = [(position, *(row[name] for name in _ARRAYS)) for position, row in enumerate(rows, first)]
    if connection.exec_driver_sql(_INSERT, placed).rowcount == len(rows):
        return {row["identity"] for row in rows}
    new = sa.select(events_table.c.identity).where(events_table.c.position >= first)
    return {bytes(row[0]) for row in connection.execute(new)}
