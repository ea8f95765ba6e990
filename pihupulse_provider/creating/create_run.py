"""Creating candidates or screenings, one or a million, each exactly once: from the rows of a source to a summary."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pihupulse_provider.api.async_client import AsyncClient, run_to_end
from pihupulse_provider.api.errors import DuplicateCreateError
from pihupulse_provider.api.logs import Progress, counted
from pihupulse_provider.creating.errors import (
    DeletedError,
    ExistingRowsError,
    InvalidRowError,
    RejectedRowsError,
    reasons_of,
)
from pihupulse_provider.creating.ledger_writer import LedgerWriter, surely_before
from pihupulse_provider.creating.options import CreateOptions, Extent, Summary
from pihupulse_provider.creating.readers import Row, Source
from pihupulse_provider.creating.recovery import SHOWN_AFTER, Recovery
from pihupulse_provider.creating.resources import Resource
from pihupulse_provider.creating.row_table import RowTable
from pihupulse_provider.creating.rows import RowState, TableRow
from pihupulse_provider.creating.sender import Sender
from pihupulse_provider.store.ledger import Job, Ledger

log = logging.getLogger(__name__)
_CHUNK = 1000
_SHOWN = 10
_LOOKED_AT = 5
"""How many of the objects that earlier tries created are looked at: whether any of it is still there."""

Digest = Callable[..., bytes]
"""Makes a keyed hash (16 bytes) of some values."""

Write = Callable[[Iterator[dict[str, Any]]], None]
"""Writes records somewhere."""


class Loader:
    """Loads the rows of a source into the table of a run.

    A row's identity is its content, so that a query may give the same rows in another order.
    """

    def __init__(self, rows: RowTable, resource: Resource, digest: Digest) -> None:
        self._table = rows
        self._resource = resource
        self._digest = digest
        self._rows = 0
        self._sum = 0

    def load(self, source: Source) -> str:
        """Load all rows, and return a fingerprint of the usable ones, whatever their order.

        :raises SourceError: if the source can't be read.
        """
        self._resource.check_columns(source.columns, has_schema=source.has_schema)
        while chunk := list(islice(source.rows, _CHUNK)):
            problems: list[tuple[int, str | None, str]] = []
            self._table.add([planned for row in chunk if (planned := self._planned(row, problems)) is not None])
            self._table.refuse(problems)
        self._table.index(lambda item, place: self._digest(item.hex(), str(place)))
        return f"{self._rows}:{self._sum % 2**128:032x}"

    def _planned(self, row: Row, problems: list[tuple[int, str | None, str]]) -> TableRow | None:
        if row.values is None:
            problems.append((row.number, None, row.reason or ""))
            return None
        try:
            parsed = self._resource.parse(row.values)
        except InvalidRowError as error:
            problems.extend((row.number, problem.field, problem.reason) for problem in error.problems)
            return None
        item = self._digest(self._resource.noun, parsed.body)
        self._rows += 1
        self._sum += int.from_bytes(item, "big")
        return TableRow(row.number, item, self._digest(self._resource.noun, *parsed.key), parsed.body)


@dataclass
class CreateRun:
    """One run.

    :param resource: what is created. :param options: how. :param ledger: where it is recorded, and the clock.
    :param connect: makes the client; it is closed at the end.
    :param write_results: gets ``{row, status, id}`` of every row, once all are done.
    :param write_rejects: gets ``{row, field, reason}`` of every problem, also when the rows are refused for it.
    :param created: gets each object that a request of this run created.
    :param count: takes metrics. :param sleep: waits that many seconds.
    """

    resource: Resource
    options: CreateOptions
    ledger: Ledger
    connect: Callable[[], AsyncClient]
    write_results: Write = lambda _: None
    write_rejects: Write = lambda _: None
    created: Callable[[Any], None] = lambda _: None
    count: Callable[[str, int], None] = lambda _name, _by: None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    rows: RowTable = field(default_factory=RowTable, init=False)
    _extent: Extent = field(default=Extent(), init=False)
    _progress: Progress | None = field(default=None, init=False)

    @property
    def extent(self) -> Extent:
        """Return how far it is, in whichever thread; no total while the source is being read."""
        before, progress = self._extent, self._progress
        return before if progress is None else before._replace(done=before.done + progress.done)

    def run(self, source: Source) -> Summary:
        """Create what the source says.

        :raises SourceError: if the source can't be read, or is not the one that an earlier try began with.
        :raises RejectedRowsError: if too many rows are rejected. :raises ExistingRowsError: see ``on_existing``.
        :raises DuplicateCreateError: if more was found than the rows account for.
        :raises PihuPulseError: what ended it; a retry goes on from there.
        """
        with self.rows:
            fingerprint = Loader(self.rows, self.resource, self.ledger.digest).load(source)
            return run_to_end(self._run(fingerprint))

    async def create(self, client: AsyncClient, fingerprint: str | None) -> None:
        """Create the rows that the table has: what :meth:`run` does between reading the source and the summary."""
        progress = Progress(f"Creating {self.resource.noun}s", self.ledger.now)
        writer = LedgerWriter(self.ledger, self.options.job, self.rows, client.time)
        new_only = self.options.on_existing == "create"
        recovery = Recovery(self.rows, self.resource, writer, client, self.sleep, new_only=new_only)
        job = await recovery.open(fingerprint, is_first=self.options.first_try)
        if job is not None and not job.is_new and not self.options.is_single:
            await self._check_still_there(client)
        self._set_aside_repeated()
        if self.rows.count(RowState.WAITING, RowState.UNSURE):
            await self._look(recovery, job)
            progress.of = self.rows.count(RowState.WAITING, RowState.UNSURE)
            self._extent, self._progress = self._counted(), progress
            may_refuse = self._allowed_rejects() - self.rows.count(RowState.REJECTED)
            await Sender(recovery, self.options, progress, self.count, self.created, may_refuse).run()
            await writer.catch_up()
        self._check_unambiguous(recovery)

    async def fetch(self, client: AsyncClient, object_id: str, body: str) -> Any:
        """Return an object that was there; its details may show it some seconds later than a list.

        :raises DeletedError: if it is not there any more.
        """
        try:
            return await self.resource.fetch(client, object_id, body)
        except DeletedError:
            await self.sleep(SHOWN_AFTER)
            return await self.resource.fetch(client, object_id, body)

    async def _check_still_there(self, client: AsyncClient) -> None:
        """Look at a few of the objects that earlier tries created. :raises DeletedError: if none of them is there."""
        known = self.rows.some_created(_LOOKED_AT)
        fetches = (self.fetch(client, object_id, body) for object_id, body in known)
        found = await asyncio.gather(*fetches, return_exceptions=True)
        gone = [object_id for (object_id, _), one in zip(known, found, strict=True) if isinstance(one, DeletedError)]
        if not gone:
            return
        nouns, ids = f"{self.resource.noun}s", ", ".join(gone)
        if len(gone) == len(known):
            raise DeletedError(nouns, f"none of those that were looked at ({ids}) is", ids=gone)
        log.warning(
            "%d of %d %s that were looked at are not there any more: %s. They were deleted, perhaps in the dashboard; "
            "what this task has created counts as created, and is not created again.",
            len(gone),
            len(known),
            nouns,
            ids,
        )

    async def _run(self, fingerprint: str) -> Summary:
        self._extent = self._counted()
        self._check_rejects()
        began_at = self.ledger.now()
        async with self.connect() as client:
            try:
                await self.create(client, fingerprint)
            except DuplicateCreateError:
                self._finish(client, began_at)
                raise
            return self._finish(client, began_at)

    def _counted(self) -> Extent:
        total, rejected = self.rows.count(), self.rows.count(RowState.REJECTED)
        return Extent(total, total - rejected - self.rows.count(RowState.WAITING, RowState.UNSURE), rejected)

    def _to_be_created(self) -> int:
        return self.rows.count() - self.rows.count(RowState.EXISTING, RowState.DUPLICATE)

    def _allowed_rejects(self) -> int:
        return self.options.allowed_rejects(self._to_be_created())

    def _check_rejects(self) -> None:
        rejected, rows, allowed = self.rows.count(RowState.REJECTED), self._to_be_created(), self._allowed_rejects()
        is_all = rejected > 0 and rejected == self.rows.count() - self.rows.count(RowState.DUPLICATE)
        if rejected <= allowed and not is_all:
            return
        self.write_rejects(self.rows.rejects())
        limit = "nothing is left to be created" if is_all else f"max_rejects allows {allowed}"
        advice = self.resource.missing_columns() or f"Correct them{'' if is_all else ', or raise max_rejects'}"
        raise RejectedRowsError(
            f"{rejected:,} of {counted(rows, 'row')} {'was' if rejected == 1 else 'were'} rejected, and {limit}. "
            f"{reasons_of(self.rows.rejects())}. {advice}; rejects_path gets the whole list.",
            rejected=rejected,
            rows=rows,
        )

    def _set_aside_repeated(self) -> None:
        if self.options.on_repeated == "create":
            return
        repeated = self.rows.set_aside_repeated_keys()
        if repeated and self.options.on_repeated == "fail":
            self._fail(RowState.DUPLICATE, repeated, "repeats an earlier row of the source")

    async def _look(self, recovery: Recovery, job: Job | None) -> None:
        may_have_begun = not self.options.first_try or (job is not None and not job.is_new)
        if may_have_begun:
            self._assume_maybe_sent(job)
        if self.options.on_existing != "create":
            log.info("Looking which %ss exist already.", self.resource.noun)
            await recovery.look_before_sending(read_all=True)
            self._set_aside_existing()
        elif may_have_begun:
            await recovery.look_before_sending(read_all=False)

    def _set_aside_existing(self) -> None:
        existing = self.rows.set_aside_existing()
        self.rows.exclude_found()
        if existing and self.options.on_existing == "fail":
            self._fail(RowState.EXISTING, existing, "exists already")

    def _assume_maybe_sent(self, job: Job | None) -> None:
        """Take the waiting rows for perhaps sent since the last mark in the ledger, while the store was away.

        It may have been away since the first try, too, and back for one that was killed before it marked anything.
        """
        now = self.ledger.now()
        if job is None or job.marked_at is None:
            self.rows.assume_maybe_sent(self.options.earliest(now) or 0.0)
        else:
            self.rows.assume_maybe_sent(surely_before(job.marked_at, now), job.marked_service_time)

    def _fail(self, state: RowState, count: int, reason: str) -> None:
        numbers = self.rows.numbers(state, count)
        self.rows.refuse((number, self.resource.identified_by, reason) for number in numbers)
        self.write_rejects(self.rows.rejects())
        shown = ", ".join(map(str, numbers[:_SHOWN])) + (", …" if count > _SHOWN else "")
        rows = f"{counted(count, 'row')} {'is' if count == 1 else 'are'} refused, since each {reason} (rows {shown})"
        what = f"The {self.resource.noun} {reason}" if self.options.is_single else rows
        raise ExistingRowsError(
            f'{what}. Nothing was created. Set on_existing to "skip" or "create", or leave such rows out; '
            "rejects_path gets the whole list.",
            rows=numbers,
        )

    def _finish(self, client: AsyncClient, began_at: float) -> Summary:
        self.write_results(self.rows.results())
        self.write_rejects(self.rows.rejects())
        self._extent, self._progress = self._counted(), None
        summary = Summary(
            rows=self.rows.count(),
            created=self.rows.count(RowState.CREATED),
            existing=self.rows.count(RowState.EXISTING),
            duplicates=self.rows.count(RowState.DUPLICATE),
            rejected=self.rows.count(RowState.REJECTED),
            requests=client.requests_sent,
            seconds=round(self.ledger.now() - began_at, 3),
        )
        log.info("%s", summary.sentence(self.resource.noun))
        self._check_rejects()
        if summary.rejected:
            reasons = reasons_of(self.rows.rejects())
            log.warning("Rejected, as max_rejects allows: %s. rejects_path gets the whole list.", reasons)
        return summary

    def _check_unambiguous(self, recovery: Recovery) -> None:
        if not recovery.ambiguous:
            return
        ids, noun = sorted(recovery.ambiguous), self.resource.noun
        rows = self.rows.count(RowState.AMBIGUOUS)
        raise DuplicateCreateError(
            f"{counted(len(ids), noun)} may be what this task created for {counted(rows, 'row')}: "
            f"{', '.join(ids[:_SHOWN])}{', …' if len(ids) > _SHOWN else ''}. Everything else is done. Keep as many as "
            'there should be, remove the others in the dashboard, and run the task again, with on_existing="skip" if '
            "what is there will do.",
            ids=ids,
        )
