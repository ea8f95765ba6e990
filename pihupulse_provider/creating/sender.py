"""Sending the rows of a plan, each exactly once, as fast as the account's limit allows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pihupulse_provider.api.async_client import AsyncClient
from pihupulse_provider.api.errors import NotSentError, PihuPulseError, UnconfirmedCreateError
from pihupulse_provider.api.transport import CONCURRENCY
from pihupulse_provider.creating.ledger_writer import LedgerWriter
from pihupulse_provider.creating.recovery import Recovery
from pihupulse_provider.creating.resources import Resource
from pihupulse_provider.creating.row_table import RowState, RowTable, SendResult, TableRow
from pihupulse_provider.creating.settle import settles_after
from pihupulse_provider.exporting.progress import Progress

_BATCH = 32
_AHEAD_SECONDS = 4.0
"""A row is marked at most about so long before it is sent, so that a mark tells when it was in flight."""
_FLUSH_SECONDS = 1.0
_ROUNDS = 6
_LOST_IN_A_ROW = 96
_LONGEST_PAUSE = 30.0

Count = Callable[[str, int], None]
"""Takes the name of a metric and by how much it grows."""
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Tools:
    """What the engine works with."""

    plan: RowTable
    kind: Resource
    records: LedgerWriter
    client: AsyncClient
    progress: Progress
    count: Count
    sleep: Sleep


class Sender:
    """Sends the waiting rows of a plan.

    :param tools: what it works with. :param recovery: finds rows whose answer was lost.
    :param check_rejects: raises when too many rows were refused.
    """

    def __init__(self, tools: Tools, recovery: Recovery, check_rejects: Callable[[], None]) -> None:
        self._plan = tools.plan
        self._tools = tools
        self._recovery = recovery
        self._check_rejects = check_rejects
        self._outcomes: list[SendResult] = []
        self._flushing = asyncio.Lock()
        self._flushed_at = 0.0
        self._fatal: BaseException | None = None
        self._lost_in_a_row = 0

    async def run(self) -> None:
        """Send all rows, and find out what became of those whose answer was lost.

        :raises UnconfirmedCreateError: if some could not be settled. :raises PihuPulseError: what ended it early.
        """
        for _ in range(_ROUNDS):
            await self._send_waiting()
            if not self._plan.count(RowState.UNSURE) and not self._plan.count(RowState.WAITING):
                return
            await self._recovery.settle()
        left = self._plan.count(RowState.UNSURE) + self._plan.count(RowState.WAITING)
        if left:
            numbers = self._plan.numbers(RowState.UNSURE, 10) or self._plan.numbers(RowState.WAITING, 10)
            raise UnconfirmedCreateError(
                f"{left} rows were sent {_ROUNDS} times each without an answer that tells what came of them, and do "
                f"not show in the list (rows {', '.join(map(str, numbers))}{', …' if left > 10 else ''}). "
                "A retry of the task looks again before it creates anything."
            )

    async def _send_waiting(self) -> None:
        queue: asyncio.Queue[TableRow | None] = asyncio.Queue(CONCURRENCY)
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

    async def _feed(self, queue: asyncio.Queue[TableRow | None]) -> None:
        after = 0
        while self._fatal is None and (rows := self._plan.waiting(after, self._batch_size())):
            after = rows[-1].n
            try:
                await self._tools.records.mark(rows, self._tools.client.limit.now())
            except PihuPulseError as error:
                self._fatal = error
                return
            for row in rows:
                await queue.put(row)

    def _batch_size(self) -> int:
        a_second = self._tools.client.limit.plan.requests_per_minute / 60
        return max(4, min(_BATCH, round(a_second * _AHEAD_SECONDS)))

    async def _send_from(self, queue: asyncio.Queue[TableRow | None]) -> None:
        while (row := await queue.get()) is not None:
            if self._fatal is not None:
                continue
            try:
                await self._keep(await self._send(row))
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # whatever it is, the feeder must not wait for a sender that is gone
                self._fatal = error

    async def _send(self, row: TableRow) -> SendResult:
        client, kind = self._tools.client, self._tools.kind
        sent_at = client.limit.now()
        try:
            created = await client.run(kind.call(row.body))
        except PihuPulseError as error:
            return await self._unsent(row, sent_at, error)
        self._lost_in_a_row = 0
        identifier: str = created.id
        return SendResult(row, RowState.CREATED, sent_at, id=identifier)

    async def _unsent(self, row: TableRow, sent_at: float, error: PihuPulseError) -> SendResult:
        if error.is_refusal:
            return SendResult(row, RowState.REJECTED, sent_at, reason=str(error))
        if not (error.may_have_happened or isinstance(error, NotSentError)):
            raise error
        await self._lost(error)
        if not error.may_have_happened:
            return SendResult(row, RowState.WAITING, sent_at)
        settled_at = sent_at + settles_after(error, self._tools.client.account.timeout)
        return SendResult(row, RowState.UNSURE, sent_at, settled_at=settled_at)

    async def _lost(self, error: PihuPulseError) -> None:
        self._tools.count("lost_answers", 1)
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= _LOST_IN_A_ROW:
            self._fatal = self._fatal or error
        elif self._lost_in_a_row > CONCURRENCY:
            await self._tools.sleep(min(_LONGEST_PAUSE, self._lost_in_a_row / 4))

    async def _keep(self, outcome: SendResult) -> None:
        self._outcomes.append(outcome)
        if outcome.state in (RowState.CREATED, RowState.REJECTED):
            self._tools.count(outcome.state.name.lower(), 1)
            self._tools.progress.advance()
        is_due = self._tools.client.limit.now() - self._flushed_at >= _FLUSH_SECONDS
        if len(self._outcomes) >= _BATCH or (is_due and not self._flushing.locked()):
            await self._flush()
        if outcome.state is RowState.REJECTED:
            self._check_rejects()

    async def _flush(self) -> None:
        async with self._flushing:
            outcomes, self._outcomes = self._outcomes, []
            self._flushed_at = self._tools.client.limit.now()
            self._plan.record(outcomes)
            await self._tools.records.confirm([(one.row, one.at, one.id) for one in outcomes if one.id is not None])
