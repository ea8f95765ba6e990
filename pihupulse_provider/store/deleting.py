"""Deleting many rows, some at a time, so that whoever else writes gets their turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from pihupulse_provider.store.engine import Store

AT_ONCE = 1000
"""How many rows are deleted in one transaction, for which deliveries and imports wait."""
_PAUSE = 0.1
"""Seconds between two of them on SQLite: who waits for its lock asks again that often at least, and whoever has just
had it would go first each time."""


def delete_in_turns(
    store: Store,
    key: sa.Column[Any],
    clauses: Sequence[sa.sql.ColumnElement[bool]],
    order: Sequence[sa.Column[Any]],
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Delete the rows of a table that meet all clauses, in transactions of their own, and return how many.

    After a power cut the last of them may be there again.

    :param key: tells such rows from each other. :param order: the columns of an index by which they are found: without
        one each transaction would look through the table. :param sleep: waits that many seconds.
    :raises StoreError: if the store can't be written; some of them may be deleted then.
    """
    some = sa.select(key).where(*clauses).order_by(*order).limit(AT_ONCE).scalar_subquery()
    query = sa.delete(key.table).where(key.in_(some), *clauses)
    count = 0
    while True:
        with store.begin(durable=False) as connection:
            deleted = connection.execute(query).rowcount
        count += deleted
        if deleted < AT_ONCE:
            return count
        if store.is_sqlite:
            sleep(_PAUSE)
