"""Shows what waits in an event loop, with one small write for all of it every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pihupulse_provider.api import clock
from pihupulse_provider.store.activity import GRACE_SECONDS, Activity, ActivityLog, TaskRef
from pihupulse_provider.store.engine import Store
from pihupulse_provider.waiting.per_loop import PerLoop, in_background
from pihupulse_provider.waiting.wait_state import WaitState

_EVERY = 5.0
"""Seconds between two writes."""
_STILL_THERE = GRACE_SECONDS / 3
"""After how many seconds a wait is written again although nothing of it has changed."""


@dataclass
class _Entry:
    make: Callable[[TaskRef], Activity]
    written: Activity | None = None
    written_at: float = 0.0


class WaitBoard:
    """Keeps the store's picture of what waits: new waits, changed ones, and those that are over.

    :param now: this process's clock.
    """

    def __init__(self, log: ActivityLog, now: Callable[[], float] = clock.now) -> None:
        self._log = log
        self._now = now
        self._entries: dict[TaskRef, _Entry] = {}
        self._ended: list[TaskRef] = []
        self._runner: asyncio.Task[None] | None = None

    @contextmanager
    def showing(self, task: TaskRef | None, make: Callable[[TaskRef], Activity]) -> Iterator[None]:
        """Show a wait for as long as the context lasts.

        :param task: whose wait it is; None if that is not known, and then nothing is shown.
        :param make: returns what is shown of it.
        """
        if task is None:
            yield
            return
        entry = self._entries[task] = _Entry(make)
        if self._runner is None:
            self._runner = in_background(self._run())
        try:
            yield
        finally:
            if self._entries.get(task) is entry:
                del self._entries[task]
                self._ended.append(task)

    async def _run(self) -> None:
        try:
            while self._entries or self._ended:
                await asyncio.sleep(_EVERY)
                await self.write()
        finally:
            self._runner = None

    async def write(self) -> None:
        """Write what is new."""
        ended, self._ended = self._ended, []
        changed = self._changed()
        await asyncio.to_thread(self._log.put, changed)
        await asyncio.to_thread(self._log.end, ended)

    def _changed(self) -> list[Activity]:
        changed, now = [], self._now()
        for task, entry in self._entries.items():
            activity = entry.make(task)
            if activity != entry.written or now - entry.written_at >= _STILL_THERE:
                entry.written, entry.written_at = activity, now
                changed.append(activity)
        return changed


def screenings_wait(task: TaskRef, connection: str, state: WaitState, next_at: float | None) -> Activity:
    """Return a wait for screenings as it is shown."""
    verdict = state.judge()
    return Activity(
        task,
        "wait",
        connection,
        "screenings",
        state.spec.started_at,
        subject=next(iter(state)).screening_id if len(state) == 1 else None,
        total=verdict.total,
        done=verdict.completed,
        failed=len(verdict.failed),
        next_at=next_at,
    )


_boards: PerLoop[WaitBoard] = PerLoop()


def shared_board(store: Store) -> WaitBoard:
    """Return the running event loop's one board for a store."""
    return _boards.get(id(store), lambda: WaitBoard(ActivityLog(store)))
