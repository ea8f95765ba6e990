"""Puts events at the end of the inbox, leaving out those that are there: on SQLite, and on PostgreSQL in one statement.

Deliveries wait for this, so it takes as few steps as it can, and talks to the driver itself. Either way the head's row
stays locked until the commit: nobody else gets a position before that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.event_rows import TABLES

Rows = Sequence[Mapping[str, Any]]
"""Rows of :data:`~pihupulse_provider.store.event_rows.events_table` without their positions."""

_LARGEST_INSERT = 100
"""Rows: SQLite before 3.32 takes 999 parameters."""
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
_COLUMNS = f"position, {', '.join(_ARRAYS)}"
_MOVE_HEAD = """
    INSERT INTO pihupulse_inbox (id, position) VALUES (1, ?)
    ON CONFLICT (id) DO UPDATE SET position = pihupulse_inbox.position + excluded.position
    """
_PLACE = f"((SELECT position - ? FROM pihupulse_inbox){', ?' * len(_ARRAYS)})"  # noqa: S608 - nothing of it comes from outside
_NEW = "SELECT identity FROM pihupulse_events WHERE position > (SELECT position - ? FROM pihupulse_inbox)"
_APPEND_ARRAYS = f"""
    WITH head AS (
        INSERT INTO pihupulse_inbox (id, position) VALUES (1, %(count)s)
        ON CONFLICT (id) DO UPDATE SET position = pihupulse_inbox.position + excluded.position
        RETURNING position - %(count)s AS start
    )
    INSERT INTO pihupulse_events ({_COLUMNS})
    SELECT head.start + new.number, {", ".join(f"new.{name}" for name in _ARRAYS)}
    FROM head, unnest({", ".join(f"CAST(%({name})s AS {kind}[])" for name, kind in _ARRAYS.items())})
        WITH ORDINALITY AS new ({", ".join(_ARRAYS)}, number)
    ON CONFLICT DO NOTHING
    RETURNING identity
    """  # noqa: S608 - nothing of it comes from outside


def append_rows(store: Store, rows: Rows) -> set[bytes]:
    """Insert rows in their order, durably, and return the identities of those that were not there.

    :raises StoreError: if the store can't be written; then none of them is stored.
    """
    append = _append_on_sqlite if store.is_sqlite else _append_on_postgresql
    return store.run_kept(partial(append, rows=rows), *TABLES)


def _append_on_postgresql(cursor: Any, rows: Rows) -> set[bytes]:
    arrays = {name: [row[name] for row in rows] for name in _ARRAYS}
    cursor.execute(_APPEND_ARRAYS, {"count": len(rows), **arrays})
    return {bytes(identity) for (identity,) in cursor.fetchall()}


def _append_on_sqlite(cursor: Any, rows: Rows) -> set[bytes]:
    cursor.execute("BEGIN IMMEDIATE")
    cursor.execute(_MOVE_HEAD, (len(rows),))
    starts = range(0, len(rows), _LARGEST_INSERT)
    inserted = sum(_insert_on_sqlite(cursor, rows, start) for start in starts)
    new = None if inserted == len(rows) else cursor.execute(_NEW, (len(rows),)).fetchall()
    cursor.execute("COMMIT")
    return {row["identity"] for row in rows} if new is None else {identity for (identity,) in new}


def _insert_on_sqlite(cursor: Any, rows: Rows, start: int) -> int:
    some = rows[start : start + _LARGEST_INSERT]
    values: list[Any] = []
    for back, row in zip(range(len(rows) - start - 1, -1, -1), some, strict=False):
        values += (back, *(row[name] for name in _ARRAYS))
    inserted: int = cursor.execute(_insert_statement(len(some)), values).rowcount
    return inserted


@cache
def _insert_statement(count: int) -> str:
    return f"INSERT OR IGNORE INTO pihupulse_events ({_COLUMNS}) VALUES {', '.join([_PLACE] * count)}"  # noqa: S608
