"""Who waits for what, and when each has to be looked at again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Container, Iterable
from contextlib import suppress

from pihupulse_provider.waiting.screening_snapshot import ScreeningSnapshot
from pihupulse_provider.waiting.wait_spec import WaitSpec
from pihupulse_provider.waiting.wait_state import WaitState

_EARLY = 0.1
"""The part of its pause that has to be over for a wait to join a round that others are due for."""


class Subscription:
    """One wait that takes part in a poller.

    :param terms: what is waited for.
    :param now: the time in epoch seconds.
    :ivar watch: what was seen of it.
    :ivar due_at: when it has to be looked at again: a wait that began just now has been looked at by its task.
    :ivar error: why nobody looks any more; None while somebody does.
    """

    def __init__(self, terms: WaitSpec, now: float) -> None:
        self.terms = terms
        self.watch: WaitState = terms.watch()
        self.due_at = max(now, terms.started_at + terms.pause(now))
        self.error: Exception | None = None
        self._news = asyncio.Event()

    def see(self, snapshots: Iterable[ScreeningSnapshot]) -> None:
        """Take note of what was seen."""
        if self.watch.see(snapshots):
            self._news.set()

    def fail(self, error: Exception) -> None:
        """End the wait."""
        self.error = error
        self._news.set()

    async def news(self, seconds: float | None) -> None:
        """Return when there is news, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()


class Subscriptions:
    """All waits of a poller; it contains the ids of the screenings that somebody waits for."""

    def __init__(self) -> None:
        self._waits: dict[Subscription, None] = {}
        self._of: dict[str, list[Subscription]] = {}

    def __len__(self) -> int:
        return len(self._waits)

    def __contains__(self, screening_id: object) -> bool:
        return screening_id in self._of

    @property
    def screenings(self) -> int:
        """Return how many screenings are waited for."""
        return len(self._of)

    def add(self, waiting: Subscription) -> None:
        """Take a wait in."""
        self._waits[waiting] = None
        for screening_id in waiting.watch.open:
            self._of.setdefault(screening_id, []).append(waiting)

    def remove(self, waiting: Subscription) -> None:
        """Let a wait go, if it is still there."""
        self._waits.pop(waiting, None)
        for screening_id in waiting.watch.open:
            self._drop(screening_id, waiting)

    def fail(self, error: Exception) -> None:
        """End all waits."""
        for waiting in list(self._waits):
            self.remove(waiting)
            waiting.fail(error)

    def tell(self, snapshots: Iterable[ScreeningSnapshot]) -> None:
        """Hand what was seen to whoever waits for it."""
        for snapshot in snapshots:
            for waiting in list(self._of.get(snapshot.screening_id, ())):
                waiting.see((snapshot,))
                if snapshot.screening_id not in waiting.watch.open:
                    self._drop(snapshot.screening_id, waiting)

    def next_due(self) -> float:
        """Return when the next wait is due, in epoch seconds."""
        return min((waiting.due_at for waiting in self._waits), default=math.inf)

    def due(self, now: float) -> list[Subscription]:
        """Return the waits that are due, and those that may as well be looked at in the same round."""
        return [one for one in self._waits if one.due_at - _EARLY * one.terms.pause(now) <= now]

    def seen(self, screening_ids: Container[str]) -> list[Subscription]:
        """Return the waits of which every open screening is among these."""
        return [one for one in self._waits if all(screening_id in screening_ids for screening_id in one.watch.open)]

    def _drop(self, screening_id: str, waiting: Subscription) -> None:
        waits = self._of.get(screening_id, [])
        if waiting in waits:
            waits.remove(waiting)
        if not waits:
            self._of.pop(screening_id, None)
