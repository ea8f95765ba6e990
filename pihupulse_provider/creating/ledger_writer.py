"""A plan's side of the ledger: what is recorded of a bulk create, also while the store is away for a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from pihupulse_provider.creating.errors import SourceChangedError
from pihupulse_provider.creating.row_table import RowTable, TableRow
from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.store.ledger import Job, Ledger, Mark

log = logging.getLogger(__name__)
_BACKLOG = 500
_RETRY_SECONDS = 10.0


class LedgerWriter:
    """Records marks and ids in the ledger, and catches up once a store that went away is back.

    A mark in the ledger therefore means that it knows everything sent before that mark: a later try need not look
    further back than to the last one.

    :param ledger: where to. :param name: the job's name. :param plan: the rows. :param now: the time (epoch seconds).
    """

    def __init__(self, ledger: Ledger, name: str, plan: RowTable, now: Callable[[], float]) -> None:
        self._ledger = ledger
        self._name = name
        self._plan = plan
        self._now = now
        self._job: Job | None = None
        self._fingerprint = ""
        self._away_until = 0.0
        self._behind = False

    def open(self, fingerprint: str, settles_after: float) -> Job | None:
        """Take the job, and load what an earlier try did; None when the store can't be reached.

        :param fingerprint: of the source. :param settles_after: seconds from now until what was in flight is decided.
        :raises SourceChangedError: if an earlier try has created something from another source.
        """
        self._fingerprint = fingerprint
        try:
            job = self._ledger.open(self._name, fingerprint)
            if job.fingerprint != fingerprint:
                if job.marked_at is not None:
                    raise SourceChangedError(
                        "The source has changed since an earlier try of this task created some of its rows, so it "
                        "can't be told which of them are done. Restore the source and retry, or start a new DAG run "
                        'for the new source: with on_existing="skip" it leaves out what exists already.'
                    )
                self._ledger.adopt_source(job, fingerprint)
            marks = ((mark.item, mark.at, mark.object_id) for mark in self._ledger.marks(job))
            self._plan.remember(marks, self._now() + settles_after)
        except StoreError as error:
            self._went_away(error)
            return None
        self._job = job
        return job

    async def mark(self, rows: Sequence[TableRow], at: float) -> None:
        """Record that these are about to be sent."""
        marks = [Mark(row.item, row.key, at) for row in rows]
        if await self._write(lambda job: self._ledger.dispatch(job, marks)):
            self._plan.is_recorded(rows, recorded=True)

    async def confirm(self, created: Sequence[tuple[TableRow, float, str]]) -> None:
        """Record the ids of what was created."""
        marks = [Mark(row.item, row.key, at, object_id) for row, at, object_id in created]
        if marks and not await self._write(lambda job: self._ledger.confirm(job, marks)):
            self._plan.is_recorded([row for row, _, _ in created], recorded=False)

    async def catch_up(self) -> None:
        """Record what is not yet: rows that were adopted, and what happened while the store was away."""
        self._behind = True
        await self._write(lambda _job: None)

    async def claimed(self, object_ids: Sequence[str]) -> set[str]:
        """Return which of these ids the ledger knows as created before; none when it can't be reached."""
        try:
            return await asyncio.to_thread(self._ledger.claimed, object_ids)
        except StoreError as error:
            self._went_away(error)
            return set()

    async def _write(self, write: Callable[[Job], None]) -> bool:
        if self._now() < self._away_until:
            return False
        try:
            if self._job is None:
                self._job = await asyncio.to_thread(self._ledger.open, self._name, self._fingerprint)
            job = self._job
            if self._behind:
                await self._record_backlog(job)
            await asyncio.to_thread(write, job)
        except StoreError as error:
            self._went_away(error)
            return False
        self._away_until = 0.0
        return True

    async def _record_backlog(self, job: Job) -> None:
        while backlog := self._plan.unrecorded(_BACKLOG):
            marks = [Mark(row.item, row.key, at, object_id) for row, at, object_id in backlog]
            await asyncio.to_thread(self._ledger.dispatch, job, marks)
            self._plan.is_recorded([row for row, _, _ in backlog], recorded=True)
        self._behind = False

    def _went_away(self, error: StoreError) -> None:
        if not self._away_until:
            log.warning(
                "%s. Going on without it, and trying again every %.0f seconds: nothing is created twice, but a retry "
                "has to look through more of the list. Check [pihupulse] store_url.",
                error,
                _RETRY_SECONDS,
            )
        self._behind = True
        self._away_until = self._now() + _RETRY_SECONDS
