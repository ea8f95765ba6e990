"""From which age on events are deleted, by a clock that may be set."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from pihupulse_provider.store.cursors import forget_reads
from pihupulse_provider.store.engine import Store, insert_once, metadata
from pihupulse_provider.store.inbox import Inbox

retention_table = sa.Table(
    "pihupulse_retention",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seen_at", sa.Float(53), nullable=False),
    sa.Column("jumped_at", sa.Float(53), nullable=False),
    sa.Column("jumped_seconds", sa.Float(53), nullable=False),
)
_LONGEST_STEP = 86400.0
"""Seconds; what the clock has moved on further than that since the last time is taken for a jump of the clock."""


class _Clock(NamedTuple):
    """What is remembered of the store's clock, in its seconds.

    :ivar seen_at: what it said the last time.
    :ivar jumped_at: what it said after its last jump. :ivar jumped_seconds: how far its jumps went.
    """

    seen_at: float
    jumped_at: float
    jumped_seconds: float

    def moved_to(self, now: float, retention: float) -> _Clock:
        """Return what is to be remembered once it says ``now``."""
        step = now - self.seen_at
        jump = max(0.0, step - _LONGEST_STEP)
        is_over = now - jump >= self.jumped_at + retention
        taken_back = min(step, 0.0)
        jumped = 0.0 if is_over else max(0.0, self.jumped_seconds + taken_back)
        return _Clock(now, now if jump else self.jumped_at, jumped + jump)


def prune_older_than(store: Store, retention: float) -> int:
    """Delete what was stored more than ``retention`` seconds ago, and return how many events that were.

    A clock that is set forward makes nothing older: of the time that passed since this was last called, one day counts
    at most. An example with a retention of 30 days: the clock says 1 March, and an hour later 1 April. A day of that
    counts and 30 days are a jump, so what was stored before it is deleted 60 days of the clock after it was stored.
    From 1 May on, when all of that is gone, 30 days are 30 days again.

    :raises StoreError: if the store can't be written.
    """
    columns = retention_table.c
    query = sa.select(columns.seen_at, columns.jumped_at, columns.jumped_seconds).with_for_update()
    with store.begin() as connection:
        now = store.now(connection)
        insert_once(connection, retention_table, {"id": 1, **_Clock(now, now, 0.0)._asdict()})
        clock = _Clock(*connection.execute(query).one()).moved_to(now, retention)
        connection.execute(sa.update(retention_table).values(**clock._asdict()))
    return prune_before(store, now - retention - clock.jumped_seconds)


def prune_before(store: Store, moment: float) -> int:
    """Delete what was stored before a moment (the store's epoch seconds); return how many events that were."""
    forget_reads(store, moment)
    return Inbox(store).prune(moment)
