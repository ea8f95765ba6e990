"""Creating many candidates or screenings, each exactly once: from the rows of a source to a summary."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pihupulse_provider.api.async_client import AsyncClient
from pihupulse_provider.api.concurrency import run_to_end
from pihupulse_provider.api.errors import DuplicateCreateError
from pihupulse_provider.creating.errors import ExistingRowsError, RejectedRowsError
from pihupulse_provider.creating.ledger_writer import LedgerWriter
from pihupulse_provider.creating.loader import Loader
from pihupulse_provider.creating.options import CreateOptions, Summary
from pihupulse_provider.creating.readers import Source
from pihupulse_provider.creating.recovery import Recovery
from pihupulse_provider.creating.resources import Resource
from pihupulse_provider.creating.row_table import RowState, RowTable
from pihupulse_provider.creating.sender import Count, Sender, Tools
from pihupulse_provider.creating.settle import longest
from pihupulse_provider.exporting.progress import Progress
from pihupulse_provider.store.ledger import Job, Ledger

log = logging.getLogger(__name__)
_SHOWN = 10

Write = Callable[[Iterator[dict[str, Any]]], None]
"""Writes records somewhere."""


def _drop(_: object) -> None:
    return None


def _count_nothing(_name: str, _by: int) -> None:
    return None


@dataclass
class CreateRun:
    """One bulk create.

    :param kind: what is created. :param terms: how. :param ledger: where it is recorded.
    :param connect: makes the client; it is closed at the end.
    :param write_results: gets ``{row, status, id}`` of every row, once all are done.
    :param write_rejects: gets ``{row, field, reason}`` of every problem, also when the rows are refused for it.
    :param count: takes metrics. :param sleep: waits that many seconds.
    """

    kind: Resource
    terms: CreateOptions
    ledger: Ledger
    connect: Callable[[], AsyncClient]
    write_results: Write = _drop
    write_rejects: Write = _drop
    count: Count = _count_nothing
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _plan: RowTable = field(default_factory=RowTable, init=False)

    def run(self, source: Source) -> Summary:
        """Create what the source says.

        :raises SourceError: if the source can't be read, or is not the one that an earlier try began with.
        :raises RejectedRowsError: if too many rows are unusable. :raises ExistingRowsError: see ``on_existing``.
        :raises DuplicateCreateError: if more was found than the rows account for.
        :raises PihuPulseError: what ended it; a retry goes on from there.
        """
        with self._plan:
            fingerprint = Loader(self._plan, self.kind, self.ledger.digest).load(source)
            self._check_rejects()
            return run_to_end(self._create(fingerprint))

    def _check_rejects(self) -> None:
        rejected, rows = self._plan.count(RowState.REJECTED), self._plan.count()
        if rejected > self.terms.bearable(rows):
            self.write_rejects(self._plan.rejects())
            first = "; ".join(
                f"row {one['row']}: {one['field'] or 'it'} {one['reason']}"
                for one in islice(self._plan.rejects(), _SHOWN)
            )
            raise RejectedRowsError(
                f"{rejected} of {rows} rows can't be used, and max_rejects allows {self.terms.bearable(rows)}. {first}."
                " Correct them, or raise max_rejects; rejects_path gets the whole list.",
                rejected=rejected,
                rows=rows,
            )

    async def _create(self, fingerprint: str) -> Summary:
        async with self.connect() as client:
            now = client.limit.now
            progress = Progress(f"Creating {self.kind.noun}s", now)
            records = LedgerWriter(self.ledger, self.terms.job, self._plan, now)
            digest = self.ledger.digest
            job = await asyncio.to_thread(records.open, fingerprint, longest(client.account.timeout))
            recovery = Recovery(self._plan, self.kind, records, client, digest=digest, sleep=self.sleep)
            self._set_aside_repeated()
            if self._plan.count(RowState.WAITING) or self._plan.count(RowState.UNSURE):
                await self._look(recovery, job)
                progress.expect(self._plan.count(RowState.WAITING) + self._plan.count(RowState.UNSURE))
                tools = Tools(self._plan, self.kind, records, client, progress, self.count, self.sleep)
                await Sender(tools, recovery, self._check_rejects).run()
                await records.catch_up()
            return self._finish(recovery, client, progress)

    def _set_aside_repeated(self) -> None:
        if self.terms.on_repeated == "create":
            return
        repeated = self._plan.set_aside_repeated_keys()
        if repeated and self.terms.on_repeated == "fail":
            self._fail(RowState.DUPLICATE, repeated, "repeats an earlier row of the source")

    async def _look(self, recovery: Recovery, job: Job | None) -> None:
        may_have_begun = not self.terms.first_try or (job is not None and not job.is_new)
        since = self._begun_since(job)
        if may_have_begun:
            self._plan.doubt_waiting(since if since is not None else 0.0)
        if self.terms.on_existing != "create":
            log.info("Reading the account's %ss, 100 a request, to see which exist already.", self.kind.noun)
            await recovery.look(None)
            self._plan.doubt_waiting(None)
            existing = self._plan.set_aside_existing()
            if existing and self.terms.on_existing == "fail":
                self._fail(RowState.EXISTING, existing, "exists already")
        elif may_have_begun:
            await recovery.look(since)
            self._plan.doubt_waiting(None)

    def _begun_since(self, job: Job | None) -> float | None:
        if job is None or job.is_new:
            return self.terms.earliest
        unsure, marked = self._plan.unsure_since(), job.marked_at
        return min(moment for moment in (unsure, marked, None if marked else job.started_at) if moment is not None)

    def _fail(self, state: RowState, count: int, reason: str) -> None:
        numbers = self._plan.numbers(state, count)
        self._plan.refuse((number, "email", reason) for number in numbers)
        self.write_rejects(self._plan.rejects())
        shown = ", ".join(map(str, numbers[:_SHOWN])) + (", …" if count > _SHOWN else "")
        raise ExistingRowsError(
            f"{count} rows are refused since each {reason} (rows {shown}). Nothing was created. Take them out, or set "
            'on_existing to "skip" or "create"; rejects_path gets the whole list.',
            rows=numbers,
        )

    def _finish(self, recovery: Recovery, client: AsyncClient, progress: Progress) -> Summary:
        self.write_results(self._plan.results())
        self.write_rejects(self._plan.rejects())
        states = {state: self._plan.count(state) for state in RowState}
        summary = Summary(
            rows=self._plan.count(),
            created=states[RowState.CREATED],
            existing=states[RowState.EXISTING],
            duplicates=states[RowState.DUPLICATE],
            rejected=states[RowState.REJECTED],
            requests=client.requests_sent,
            seconds=round(progress.seconds, 3),
        )
        log.info("%s", summary)
        if recovery.surplus:
            ids = sorted(recovery.surplus)
            raise DuplicateCreateError(
                f"All rows are there, and {len(ids)} {self.kind.noun}s more than the rows account for: "
                f"{', '.join(ids[:_SHOWN])}{', …' if len(ids) > _SHOWN else ''}. Look at them in the dashboard, "
                "remove what is not wanted, and run the task again.",
                ids=ids,
            )
        return summary
