"""A run's side of the ledger: what is recorded of it, also while the store is away for a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pihupulse_provider.api.clock import ServerTime
from pihupulse_provider.api.logs import OutageLog
from pihupulse_provider.creating.errors import SourceChangedError
from pihupulse_provider.creating.row_table import RowTable
from pihupulse_provider.creating.rows import TableRow
from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.store.job_run import Run
from pihupulse_provider.store.ledger import Job, JobTakenOverError, Ledger, Mark, keeps_id
from pihupulse_provider.store.retention import forgotten_until

T = TypeVar("T")
log = logging.getLogger(__name__)
MARK_HOLDS = 2.0
"""Seconds after which a mark no longer says that this run still has the job: it is renewed before the row is sent."""
WRITTEN_WITHIN = 0.5
"""Seconds after that within which the row is written, or it is not sent: a process may be stopped in between."""
_BACKLOG = 500
_CLOCK_SET_BACK = 60.0
_RETRY_SECONDS = 10.0


class LedgerWriter:
    """Records marks and ids in the ledger, and catches up once a store that went away is back.

    A mark in the ledger therefore means that it knows everything sent before that mark: a later try need not look
    further back than to the last one.

    The marks bear the service's time, so that the next try knows how far back to look whatever becomes of clocks. Those
    that were made before any response told it get it as soon as one does.

    :param ledger: where to; its clock is the run's. :param name: the job's name. :param rows: the rows.
    :param time: the service's.
    """

    def __init__(self, ledger: Ledger, name: str, rows: RowTable, time: ServerTime) -> None:
        self.ledger = ledger
        self._name = name
        self._rows = rows
        self._time = time
        self._undated: dict[bytes, Mark] = {}
        self._run = Run(ledger.now())
        self._stalls = ledger.store.stalls
        self._job: Job | None = None
        self._fingerprint: str | None = None
        self._away_until = 0.0
        self._behind = False
        self._catching_up = asyncio.Lock()
        self._outage = OutageLog(log)

    async def open(self, fingerprint: str | None, decided_after: float) -> Job | None:
        """Take the job, and load what earlier tries did; None when the store can't be reached.

        :param fingerprint: of the source; None where it does not matter.
        :param decided_after: seconds after which what an earlier try sent has been carried out, or never will be.
        :raises SourceChangedError: if an earlier try has created something from another source.
        """
        self._fingerprint = fingerprint
        try:
            self._job = await _twice(lambda: asyncio.to_thread(self._open, decided_after))
        except StoreError as error:
            self._went_away(error)
        return self._job

    def _open(self, decided_after: float) -> Job:
        fingerprint = self._fingerprint
        job = self.ledger.open(self._name, fingerprint, run=self._run)
        if job.fingerprint != fingerprint:
            if job.marked_at is not None:
                raise SourceChangedError(
                    "The source has changed since an earlier try of this task created some of its rows, so it can't be "
                    "told which of them are done. Restore the source and retry, or start a new DAG run for the new "
                    'source: with on_existing="skip" it leaves out what exists already.'
                )
            self.ledger.adopt_source(job, fingerprint)
        now = self.ledger.now()
        marks = (mark._replace(at=surely_before(mark.at, now)) for mark in self.ledger.marks(job))
        self._rows.remember(marks, now + decided_after)
        return job

    async def mark(self, rows: Sequence[TableRow]) -> float:
        """Record that these are about to be sent, and return when this run had the job (epoch seconds).

        :raises JobTakenOverError: if another run has taken it, or may have gone on without the store.
        """
        items = [(row.item, row.key) for row in rows]
        service_time = self._time.earliest if self._time.is_known else None
        marked_at = await self._write(lambda job: self.ledger.mark(job, items, service_time))
        if self.ledger.store.stalls > self._stalls:
            raise JobTakenOverError(
                "This process was stopped while it held the lock of the store, for so long that a newer run of this "
                "task may have gone on without the store"
            )
        if marked_at is None:
            now = self.ledger.now()
            self._rows.set_unmarked(rows, now)
            return now
        if service_time is None:
            self._undated.update((item, Mark(item, key, marked_at)) for item, key in items)
        self._rows.set_recorded(rows, recorded=True)
        return marked_at

    async def renew(self, row: TableRow, marked_at: float) -> float:
        """Return when this run had the job, which is at most :data:`MARK_HOLDS` seconds ago (epoch seconds).

        A process may be stopped for minutes, or wait so long for its turn: another run may have the job by then.

        :raises JobTakenOverError: if it has.
        """
        while self.ledger.now() - marked_at > MARK_HOLDS:
            marked_at = await self.mark([row])
        return marked_at

    async def confirm(self, created: Sequence[tuple[TableRow, float, str]]) -> None:
        """Record the ids of what was created, also if another run has the job by now."""
        marks = [self._dated(Mark(row.item, row.key, at, object_id)) for row, at, object_id in created]
        for mark in filter(keeps_id, marks):
            self._undated.pop(mark.item, None)
        is_due = marks or (self._undated and self._time.is_known)
        if is_due and await self._write(lambda job: self._confirmed(job, marks)) is None:
            self._rows.set_recorded([row for row, _, _ in created], recorded=False)

    async def catch_up(self) -> None:
        """Record what is not yet: rows that were adopted, and what was sent while the store was away."""
        self._behind = True
        await self._write(lambda _job: True)

    async def learn(self) -> None:
        """Give unsure rows the ids that the try before this one has got since: it may still be at work."""
        items = self._rows.unsure_items()
        if self._job is not None and not self._job.is_new and items:
            self._rows.learn(await self._write(lambda job: self.ledger.find(job, items)) or [])

    async def claims(self, object_ids: Sequence[str]) -> list[Mark]:
        """Return what the ledger knows of these ids from other jobs; nothing when it can't be reached."""
        return await self._write(lambda job: self.ledger.claims(object_ids, job)) or []

    async def forgotten_until(self) -> float | None:
        """Return up to when jobs may be gone from the ledger (epoch seconds); None if none is, or it is away."""
        return await self._write(lambda _job: forgotten_until(self.ledger))

    def _confirmed(self, job: Job, marks: Sequence[Mark]) -> bool:
        self.ledger.confirm(job, marks)
        return True

    async def _write(self, write: Callable[[Job], T]) -> T | None:
        try:
            return await _twice(lambda: self._write_once(write))
        except StoreError as error:
            self._went_away(error)
            return None

    async def _write_once(self, write: Callable[[Job], T]) -> T | None:
        job = await self._caught_up()
        if job is None:
            return None
        written = await asyncio.to_thread(write, job)
        self._away_until = 0.0
        self._outage.recovered("The store is back.")
        return written

    async def _caught_up(self) -> Job | None:
        """Return the job, once the ledger knows all that was done before; None while the store is away.

        One at a time: who takes the job a second time takes it from this very run.
        """
        async with self._catching_up:
            if self.ledger.now() < self._away_until:
                return None
            if self._job is None:
                self._job = await asyncio.to_thread(self.ledger.open, self._name, self._fingerprint, run=self._run)
            if self._behind:
                await self._record_backlog(self._job)
            if self._undated and self._time.is_known:
                await self._date_marks(self._job)
            return self._job

    async def _record_backlog(self, job: Job) -> None:
        self._behind = False  # whatever fails from now on is one more to be recorded
        latest: list[Mark] = []
        try:
            while backlog := self._rows.unrecorded(_BACKLOG):
                marks = [self._dated(mark) for _, mark in backlog]
                latest = [max(latest + marks, key=lambda mark: mark.at)]
                is_last = len(backlog) < _BACKLOG  # until then there may be earlier ones that the ledger does not know
                await asyncio.to_thread(self.ledger.catch_up, job, marks, latest[0] if is_last else None)
                self._rows.set_recorded([row for row, _ in backlog], recorded=True)
        except StoreError:
            self._behind = True
            raise

    async def _date_marks(self, job: Job) -> None:
        marks = [self._dated(mark) for mark in self._undated.values()]
        await asyncio.to_thread(self.ledger.date, job, marks)
        for mark in marks:
            self._undated.pop(mark.item, None)

    def _dated(self, mark: Mark) -> Mark:
        if mark.service_time is not None or not self._time.is_known:
            return mark
        by_service = self._time.earliest(mark.at) if mark.object_id is None else self._time.latest(mark.at)
        return mark._replace(service_time=by_service)

    def _went_away(self, error: StoreError) -> None:
        self._outage.failed(
            "%s. Going on without it, and trying again every %.0f seconds: nothing is created twice, but a retry has "
            "to look through more of the list. Check [pihupulse] store_url.",
            error,
            _RETRY_SECONDS,
        )
        self._behind = True
        self._away_until = self.ledger.now() + _RETRY_SECONDS


async def _twice(attempt: Callable[[], Awaitable[T]]) -> T:
    """Make another attempt before the store counts as away: it may be there, and another run have the job.

    A process that is stopped in a transaction finds its connection closed when it goes on.
    """
    try:
        return await attempt()
    except StoreError:
        return await attempt()


def surely_before(moment: float, now: float) -> float:
    """Return a moment surely no later than one that an earlier process recorded.

    The clock may have been set back since: up to a minute is allowed for. A moment in the future shows that it was set
    back, nobody knows how far, and counts as any time (0).
    """
    return moment - _CLOCK_SET_BACK if moment <= now else 0.0
