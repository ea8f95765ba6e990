"""Group commit: deliveries that arrive while a commit is under way share the next one."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread

from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.api.logs import OutageLog
from pihupulse_provider.store.inbox import Delivery

Append = Callable[[Sequence[Delivery]], Sequence[bool]]
"""Stores deliveries durably in one transaction and says of each whether it was new."""

_log = logging.getLogger(__name__)

_GATHER_SECONDS = 0.002
_Waiting = tuple[Delivery, "asyncio.Future[bool]"]


class InboxBusyError(PihuPulseError):
    """So many deliveries wait to be stored, or for so long, that the sender had better come again."""


class GroupCommit:
    """Stores deliveries through one thread, all that wait in one transaction.

    It belongs to one event loop, whose callbacks it uses rather than tasks, and has a thread of its own rather than an
    executor, which takes twice as long to hand over and back: each step is one that a sender waits for.

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
        self._thread: Thread | None = None
        self._steps: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._waiting: deque[_Waiting] = deque()
        self._expected = 1
        self._deadline: asyncio.TimerHandle | None = None
        self._is_committing = False
        self._is_stuck = False
        self._outage = OutageLog(_log, logging.ERROR)
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    async def store(self, delivery: Delivery) -> bool:
        """Return, once it is stored durably, whether the delivery was new.

        :raises InboxBusyError: if too many wait.
        :raises StoreError: if it could not be stored.
        """
        if self._is_stuck or len(self._waiting) >= self._most_waiting:
            raise InboxBusyError(f"{len(self._waiting)} deliveries wait to be stored.")
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, stored))
        self._is_idle.clear()
        self._gather()
        return await stored

    async def close(self) -> None:
        """Store what still waits, and end the thread."""
        await self._is_idle.wait()
        self._steps.put(None)

    def _gather(self) -> None:
        """Wait a moment for as many as came last time: senders that get responses together come again together."""
        if self._is_committing:
            return
        if len(self._waiting) >= self._expected:
            self._commit()
        elif self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._commit)

    def _commit(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._largest))]
        self._expected = len(group)
        self._is_committing = True
        loop = asyncio.get_running_loop()
        impatience = loop.call_later(self._patience, self._send_away, group)

        def append() -> None:
            outcome: Sequence[bool] | BaseException
            try:
                outcome = self._append([delivery for delivery, _ in group])
            except BaseException as error:  # it is the senders' to hear
                outcome = error
            loop.call_soon_threadsafe(self._finish, group, impatience, outcome)

        if self._thread is None:
            self._thread = Thread(target=_run, args=(self._steps,), name="pihupulse-inbox", daemon=True)
            self._thread.start()
        self._steps.put(append)

    def _finish(
        self, group: Sequence[_Waiting], impatience: asyncio.TimerHandle, outcome: Sequence[bool] | BaseException
    ) -> None:
        impatience.cancel()
        self._is_committing = self._is_stuck = False
        if isinstance(outcome, BaseException):
            self._log_failure(outcome)
            _fail(group, outcome)
        else:
            self._outage.recovered("Webhooks can be stored again.")
            for (_, stored), is_new in zip(group, outcome, strict=True):
                if not stored.done():
                    stored.set_result(is_new)
        if self._waiting:
            self._gather()
        else:
            self._is_idle.set()

    def _send_away(self, group: Sequence[_Waiting]) -> None:
        self._is_stuck = True
        error = InboxBusyError(f"A commit takes more than {self._patience:g} seconds.")
        self._log_failure(error)
        _fail([*group, *self._waiting], error)
        self._waiting.clear()

    def _log_failure(self, error: BaseException) -> None:
        self._outage.failed("Webhooks can't be stored, and senders are asked to send them again: %s", error)


def _run(steps: SimpleQueue[Callable[[], None] | None]) -> None:
    while (step := steps.get()) is not None:
        step()


def _fail(group: Sequence[_Waiting], error: BaseException) -> None:
    for _, stored in group:
        if not stored.done():
            stored.set_exception(error)
