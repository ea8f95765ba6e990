"""Sending the rows of a run, each exactly once, as fast as the account's limit allows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from pihupulse_provider.api import endpoints
from pihupulse_provider.api.errors import NotSentError, PihuPulseError, UnconfirmedCreateError
from pihupulse_provider.api.logs import Progress, counted
from pihupulse_provider.api.transport import CONCURRENCY
from pihupulse_provider.creating.ledger_writer import MARK_HOLDS, WRITTEN_WITHIN
from pihupulse_provider.creating.options import CreateOptions
from pihupulse_provider.creating.recovery import Recovery, decided_at
from pihupulse_provider.creating.rows import RowState, SendResult, TableRow

log = logging.getLogger(__name__)
_BATCH = 32
_AHEAD_SECONDS = 4.0
"""Rows are marked about so long before they are sent, many in one transaction."""
_FLUSH_SECONDS = 1.0
_ROUNDS_IN_VAIN = 3
_LOST_IN_A_ROW = 96
_LONGEST_PAUSE = 30.0
_PATIENCE = 60.0
"""Seconds for which it goes on although nothing comes of any request: an outage of half a minute costs no try."""
_SHOWN = 10

Marked = tuple[TableRow, float]
"""A row, and when this run had the job as it was marked (epoch seconds)."""


@dataclass
class Sender:
    """Sends the waiting rows of a run.

    :param recovery: finds rows whose response was lost; it has the rows, and what they are sent with.
    :param created: gets each object that a request created.
    :param may_refuse: how many more rows the service may refuse before it stops.
    """

    recovery: Recovery
    options: CreateOptions
    progress: Progress
    count: Callable[[str, int], None]
    created: Callable[[Any], None]
    may_refuse: int

    def __post_init__(self) -> None:
        self._rows, self._resource = self.recovery.rows, self.recovery.resource
        self._writer, self._client = self.recovery.writer, self.recovery.client
        self._results: list[SendResult] = []
        self._flushing = asyncio.Lock()
        self._flushed_at = 0.0
        self._fatal: BaseException | None = None
        self._last_lost: PihuPulseError | None = None
        self._lost_in_a_row = 0
        self._now = self._writer.ledger.now
        self._responded_at = self._now()

    async def run(self) -> None:
        """Send all rows, and find out what became of those whose response was lost.

        It stops early when too many are refused.

        :raises UnconfirmedCreateError: if some come to nothing, time and again. :raises PihuPulseError: what ended it.
        """
        rounds_in_vain = 0
        while True:
            waiting, open_before = self._rows.count(RowState.WAITING), self._open_rows()
            await self._send_waiting()
            if not self._open_rows() or self.may_refuse < 0:
                return
            await self.recovery.resolve()
            is_in_vain = bool(waiting) and self._open_rows() >= open_before
            rounds_in_vain = rounds_in_vain + 1 if is_in_vain else 0
            if self._open_rows() and self._is_in_vain(rounds_in_vain):
                self._give_up(rounds_in_vain)
            await self.recovery.sleep(min(_LONGEST_PAUSE, 2.0**rounds_in_vain - 1))

    def _open_rows(self) -> int:
        return self._rows.count(RowState.WAITING, RowState.UNSURE)

    def _is_in_vain(self, rounds_in_vain: int) -> bool:
        most = 1 if isinstance(self._last_lost, NotSentError) else _ROUNDS_IN_VAIN
        return rounds_in_vain >= most and self._now() - self._responded_at >= _PATIENCE

    def _give_up(self, rounds: int) -> NoReturn:
        if isinstance(self._last_lost, NotSentError):
            raise self._last_lost
        noun, left = self._resource.noun, self._open_rows()
        numbers = self._rows.numbers(RowState.UNSURE, _SHOWN) or self._rows.numbers(RowState.WAITING, _SHOWN)
        shown = f"rows {', '.join(map(str, numbers))}{', …' if left > _SHOWN else ''}"
        which = f"The {noun} was" if self.options.is_single else f"{counted(left, noun)} ({shown}) were"
        raise UnconfirmedCreateError(
            f"{which} sent {rounds} times, no response said what came of it, and the list shows nothing of it. "
            f"The last response: {self._last_lost}. A retry of the task looks again before it creates anything."
        ) from self._last_lost

    async def _send_waiting(self) -> None:
        queue: asyncio.Queue[Marked | None] = asyncio.Queue(CONCURRENCY)
        senders = [asyncio.create_task(self._send_from(queue)) for _ in range(CONCURRENCY)]
        try:
            await self._feed(queue)
            for _ in senders:
                await queue.put(None)
            await asyncio.gather(*senders)
        finally:
            for sender in senders:
                sender.cancel()
            await self._flush()
        if self._fatal is not None:
            raise self._fatal

    async def _feed(self, queue: asyncio.Queue[Marked | None]) -> None:
        after = 0
        while not self._is_over() and (rows := self._rows.waiting(after, self._batch_size())):
            after = rows[-1].n
            try:
                marked_at = await self._writer.mark(rows)
            except PihuPulseError as error:
                self._fatal = error
                return
            for row in rows:
                await queue.put((row, marked_at))

    def _is_over(self) -> bool:
        return self._fatal is not None or self.may_refuse < 0

    def _batch_size(self) -> int:
        a_second = self._client.limit.plan.requests_per_minute / 60
        return max(4, min(_BATCH, round(a_second * _AHEAD_SECONDS)))

    async def _send_from(self, queue: asyncio.Queue[Marked | None]) -> None:
        while (marked := await queue.get()) is not None:
            if self._is_over():
                continue
            try:
                await self._keep(await self._send(*marked))
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # whatever it is, the feeder must not wait for a sender that is gone
                self._fatal = error

    async def _send(self, row: TableRow, marked_at: float) -> SendResult:
        """Send a row, once its turn has come: this run must have the job then, and only then the time is taken."""
        sent_at = marked_at

        async def before_send() -> float:
            nonlocal marked_at, sent_at
            marked_at = await self._writer.renew(row, marked_at)
            sent_at = self._now()
            return marked_at + MARK_HOLDS + WRITTEN_WITHIN

        try:
            created = await self._client.run(self._resource.call(row.body), before_send=before_send)
        except PihuPulseError as error:
            return await self._not_confirmed(row, sent_at, error)
        self._lost_in_a_row = 0
        self._responded_at = self._now()
        self._client.time.see(getattr(created, "created_at", None))
        self.created(created)
        return SendResult(row, RowState.CREATED, self._now(), id=created.id)

    async def _not_confirmed(self, row: TableRow, sent_at: float, error: PihuPulseError) -> SendResult:
        if error.is_refusal and not self.options.is_single:
            return SendResult(row, RowState.REJECTED, sent_at, reason=str(error))
        if not (error.may_have_happened or isinstance(error, NotSentError)):
            raise error
        decided = decided_at(error, sent_at, self._now(), self._client.account.timeout)
        await self._lost(error)
        if not error.may_have_happened:
            return SendResult(row, RowState.WAITING, sent_at)
        return SendResult(row, RowState.UNSURE, sent_at, decided_at=decided)

    async def _lost(self, error: PihuPulseError) -> None:
        self.count("lost_answers", 1)
        self._last_lost = error
        self._lost_in_a_row += 1
        if error.may_have_happened and not (self._client.time.is_known or self.options.is_single):
            await self._learn_time()
        # The client has tried for a while to send what surely was not sent.
        most = 2 * CONCURRENCY if isinstance(error, NotSentError) else _LOST_IN_A_ROW
        if self._lost_in_a_row >= most:
            self._fatal = self._fatal or error
        elif self._lost_in_a_row > CONCURRENCY:
            await self.recovery.sleep(min(_LONGEST_PAUSE, self._lost_in_a_row / 4))

    async def _learn_time(self) -> None:
        """Ask for anything, so that the next try knows by the service's clock since when to look, if this one ends."""
        try:
            await self._client.run(endpoints.list_templates(), poll=True)
            await self._writer.confirm([])
        except PihuPulseError as error:
            log.debug("The service did not tell its time: %s", error)

    async def _keep(self, result: SendResult) -> None:
        self._results.append(result)
        if result.state in (RowState.CREATED, RowState.REJECTED):
            self.count(result.state.name.lower(), 1)
            self.progress.advance()
        if result.state is RowState.REJECTED:
            self.may_refuse -= 1
        is_due = self._now() - self._flushed_at >= _FLUSH_SECONDS
        if len(self._results) >= _BATCH or (is_due and not self._flushing.locked()):
            await self._flush()

    async def _flush(self) -> None:
        async with self._flushing:
            results, self._results = self._results, []
            self._flushed_at = self._now()
            self._rows.record(results)
            await self._writer.confirm([(one.row, one.at, one.id) for one in results if one.id is not None])
