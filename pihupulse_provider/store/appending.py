"""Puts events at the end of the inbox, leaving out those that are there: on SQLite, and on PostgreSQL in one statement.

Deliveries wait for this, so it takes as few steps as it can, and talks to the driver itself. Either way the head's row
stays locked until the commit: nobody else gets a position before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.event_rows import EventRow

_LARGEST_INSERT = 100
"""Rows: SQLite before 3.32 takes 999 parameters."""
_COLUMNS = ", ".join(EventRow._fields)
_POSTGRESQL_TYPES = ("text", "text", "bytea", "float8", "text", "text", "text", "bytea")
_MOVE_HEAD = """
    INSERT INTO pihupulse_inbox (id, position) VALUES (1, ?)
    ON CONFLICT (id) DO UPDATE SET position = pihupulse_inbox.position + excluded.position
    """
_PLACE = f"({'?, ' * len(EventRow._fields)}(SELECT position - ? FROM pihupulse_inbox))"  # noqa: S608 - nothing of it comes from outside
_NEW = "SELECT identity FROM pihupulse_events WHERE position > (SELECT position - ? FROM pihupulse_inbox)"
_APPEND_ARRAYS = f"""
    WITH head AS (
        INSERT INTO pihupulse_inbox (id, position) VALUES (1, %s)
        ON CONFLICT (id) DO UPDATE SET position = pihupulse_inbox.position + excluded.position
        RETURNING position - %s AS start
    )
    INSERT INTO pihupulse_events ({_COLUMNS}, position)
    SELECT {_COLUMNS}, head.start + new.number
    FROM head, unnest({", ".join(f"CAST(%s AS {kind}[])" for kind in _POSTGRESQL_TYPES)})
        WITH ORDINALITY AS new ({_COLUMNS}, number)
    ON CONFLICT DO NOTHING
    RETURNING identity
    """  # noqa: S608 - nothing of it comes from outside


def append_rows(store: Store, rows: Sequence[EventRow]) -> set[bytes]:
    """Insert rows in their order, durably, and return the identities of those that were not there.

    :raises StoreError: if the store can't be written; then none of them is stored.
    """
    append = _append_on_sqlite if store.is_sqlite else _append_on_postgresql
    return store.run_kept(partial(append, rows=rows))


def _append_on_postgresql(cursor: Any, rows: Sequence[EventRow]) -> set[bytes]:
    arrays = [list(values) for values in zip(*rows, strict=True)]
    cursor.execute(_APPEND_ARRAYS, (len(rows), len(rows), *arrays))
    return {bytes(identity) for (identity,) in cursor.fetchall()}


def _append_on_sqlite(cursor: Any, rows: Sequence[EventRow]) -> set[bytes]:
    cursor.execute("BEGIN IMMEDIATE")
    cursor.execute(_MOVE_HEAD, (len(rows),))
    starts = range(0, len(rows), _LARGEST_INSERT)
    inserted = sum(_insert_on_sqlite(cursor, rows, start) for start in starts)
    new = None if inserted == len(rows) else cursor.execute(_NEW, (len(rows),)).fetchall()
    cursor.execute("COMMIT")
    return {row.identity for row in rows} if new is None else {identity for (identity,) in new}


def _insert_on_sqlite(cursor: Any, rows: Sequence[EventRow], start: int) -> int:
    some = rows[start : start + _LARGEST_INSERT]
    values: list[Any] = []
    for number, row in enumerate(some, start + 1):
        values += (*row, len(rows) - number)
    inserted: int = cursor.execute(_insert_statement(len(some)), values).rowcount
    return inserted


@cache
def _insert_statement(count: int) -> str:
    return f"INSERT OR IGNORE INTO pihupulse_events ({_COLUMNS}, position) VALUES {', '.join([_PLACE] * count)}"  # noqa: S608
