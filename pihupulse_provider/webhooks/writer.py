"""Group commit: deliveries that arrive while a commit is under way share the next one."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.store.inbox import Delivery

Append = Callable[[Sequence[Delivery]], Sequence[bool]]
"""Stores deliveries durably in one transaction and says of each whether it was new."""

_log = logging.getLogger(__name__)

_GATHER_SECONDS = 0.002
_Waiting = tuple[Delivery, "asyncio.Future[bool]"]


class InboxBusyError(PihuPulseError):
    """So many deliveries wait to be stored, or for so long, that the sender had better come again."""


class GroupWriter:
    """Stores deliveries through one thread, all that wait in one transaction.

    :param append: stores them.
    :param most_waiting: how many may wait; any more are refused.
    :param largest: how many share a commit at most.
    :param patience: seconds after which a commit that has not ended no longer keeps senders waiting; what it stores
        after all is known when it is sent again.
    """

    def __init__(self, append: Append, *, most_waiting: int = 4096, largest: int = 256, patience: float = 10.0) -> None:
        self._append = append
        self._patience = patience
        self._most_waiting = most_waiting
        self._largest = largest
        self._waiting: deque[_Waiting] = deque()
        self._thread = ThreadPoolExecutor(1, "pihupulse-inbox")
        self._task: asyncio.Task[None] | None = None
        self._expected = 1
        self._enough = asyncio.Event()
        self._failing = False
        self._is_stuck = False

    async def store(self, delivery: Delivery) -> bool:
        """Return, once it is stored durably, whether the delivery was new.

        :raises InboxBusyError: if too many wait.
        :raises StoreError: if it could not be stored.
        """
        if self._is_stuck or len(self._waiting) >= self._most_waiting:
            raise InboxBusyError(f"{len(self._waiting)} deliveries wait to be stored.")
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, stored))
        if len(self._waiting) >= self._expected:
            self._enough.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await stored

    async def close(self) -> None:
        """Store what still waits, and end the thread."""
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    async def _drain(self) -> None:
        while self._waiting:
            await self._gather()
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._largest))]
            await self._commit(group)

    async def _gather(self) -> None:
        """Wait a moment for as many as came last time: senders that were answered together come again together."""
        self._enough.clear()
        if len(self._waiting) < self._expected:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GATHER_SECONDS):
                    await self._enough.wait()
        self._expected = min(len(self._waiting), self._largest)

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        deliveries = [delivery for delivery, _ in group]
        impatience = asyncio.get_running_loop().call_later(self._patience, self._send_away, group)
        try:
            fresh = await asyncio.get_running_loop().run_in_executor(self._thread, self._append, deliveries)
        except Exception as error:
            self._tell_failure(error)
            _fail(group, error)
            return
        finally:
            impatience.cancel()
            self._is_stuck = False
        self._failing = False
        for (_, stored), is_new in zip(group, fresh, strict=True):
            if not stored.done():
                stored.set_result(is_new)

    def _send_away(self, group: Sequence[_Waiting]) -> None:
        self._is_stuck = True
        error = InboxBusyError(f"A commit takes more than {self._patience:g} seconds.")
        self._tell_failure(error)
        _fail([*group, *self._waiting], error)
        self._waiting.clear()

    def _tell_failure(self, error: Exception) -> None:
        if not self._failing:
            _log.error("Webhooks can't be stored; senders are told to send them again: %s", error)
        self._failing = True


def _fail(group: Sequence[_Waiting], error: Exception) -> None:
    for _, stored in group:
        if not stored.done():
            stored.set_exception(error)
