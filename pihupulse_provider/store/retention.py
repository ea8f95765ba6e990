"""Deleting what is old: events, by a clock that may be set, and what the ledger has of old jobs."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from pihupulse_provider.store.cursors import forget_reads
from pihupulse_provider.store.deleting import delete_in_turns
from pihupulse_provider.store.engine import Store, insert_once, metadata
from pihupulse_provider.store.inbox import Inbox
from pihupulse_provider.store.ledger import Ledger, creates_table, jobs_table

retention_table = sa.Table(
    "pihupulse_retention",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seen_at", sa.Float(53), nullable=False),
    sa.Column("jumped_at", sa.Float(53), nullable=False),
    sa.Column("jumped_seconds", sa.Float(53), nullable=False),
)
forgotten_table = sa.Table(
    "pihupulse_forgotten",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("until", sa.Float(53), nullable=False),
)
"""One row, once anything was forgotten: jobs that last sent something before ``until`` may be gone."""
_LONGEST_STEP = 86400.0
"""Seconds; what the clock has moved on further than that since the last time is taken for a jump of the clock."""
_NO_NAME = sa.cast(jobs_table.c.id, sa.String(20)) + " forgotten"
"""The name of a job that is being forgotten; no task has such a one."""
_CHUNK = 500


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


class Forgotten(NamedTuple):
    """How many jobs were forgotten, and how many creates of theirs."""

    jobs: int
    creates: int


def forget_jobs(store: Store, before: float) -> Forgotten:
    """Delete the jobs that last sent something before that time (the store's epoch seconds), and their creates.

    A job loses its name first: whoever comes for it then begins a new one, and never meets one that is half there. What
    is left by a call that was interrupted is deleted by the next. The newest job's row stays, nameless: SQLite would
    give its number to the next job, in which a run that is still at work on this one would record its creates.

    :raises StoreError: if the store can't be written.
    """
    with store.begin() as connection:
        insert_once(connection, forgotten_table, {"id": 1, "until": before})
        connection.execute(sa.update(forgotten_table).where(forgotten_table.c.until < before).values(until=before))
        old = sa.func.coalesce(jobs_table.c.marked_at, jobs_table.c.started_at) < before
        connection.execute(sa.update(jobs_table).where(old).values(name=_NO_NAME, owner=""))
    jobs = creates = last = 0
    newest = sa.select(sa.func.max(jobs_table.c.id)).scalar_subquery()
    while ids := _nameless(store, last):
        creates += sum(_forget_creates(store, job) for job in ids)
        with store.begin() as connection:
            older = sa.delete(jobs_table).where(jobs_table.c.id.in_(ids), jobs_table.c.id < newest)
            jobs += connection.execute(older).rowcount
        last = ids[-1]
    return Forgotten(jobs, creates)


def forgotten_until(ledger: Ledger) -> float | None:
    """Return up to when jobs may be gone, in epoch seconds of this process's clock; None if none is.

    :raises StoreError: if the store can't be reached.
    """
    with ledger.store.read() as connection:
        until: float | None = connection.execute(sa.select(forgotten_table.c.until)).scalar()
        return None if until is None else until - ledger.skew(connection)


def _nameless(store: Store, after: int) -> list[int]:
    nameless = sa.select(jobs_table.c.id).filter_by(name=_NO_NAME).where(jobs_table.c.id > after)
    with store.read() as connection:
        return list(connection.execute(nameless.order_by(jobs_table.c.id).limit(_CHUNK)).scalars())


def _forget_creates(store: Store, job: int) -> int:
    columns = creates_table.c
    return delete_in_turns(store, columns.item, [columns.job == job], [columns.item])
