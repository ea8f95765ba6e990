"""Who waits for what, and when each has to be polled again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Container, Iterable
from contextlib import suppress

from pihupulse_provider.waiting.wait_state import ScreeningSnapshot, WaitState

_EARLY = 0.1
"""The part of its pause that has to be over for a wait to join a round that others are due for."""


class Subscription:
    """One wait that takes part in a poller.

    :param state: what is waited for, and what was seen of it.
    :param now: the time by the poller's clock.
    :ivar due_at: when it has to be polled again: a wait that began just now was polled by its task.
    :ivar polled_at: when the last poll of it began that is over by now.
    :ivar error: why nobody polls any more; None while somebody does.
    """

    def __init__(self, state: WaitState, now: float) -> None:
        self.state = state
        self.due_at = max(now, state.spec.started_at + state.spec.pause(now))
        self.polled_at = -math.inf
        self.error: Exception | None = None
        self._changed = asyncio.Event()

    @property
    def next_poll_at(self) -> float | None:
        """Return when it is polled next; None while that is being done, or is about to be."""
        return self.due_at if math.isfinite(self.due_at) else None

    def see(self, snapshots: Iterable[ScreeningSnapshot]) -> None:
        """Take note of what was seen."""
        if self.state.see(snapshots):
            self._changed.set()

    def polled(self, at: float, due_at: float) -> None:
        """Take note of a poll that began at ``at`` and is over, and of when the next one is due."""
        is_last = self.due_at == -math.inf
        self.polled_at, self.due_at = at, due_at
        if is_last:
            self._changed.set()

    def fail(self, error: Exception) -> None:
        """End the wait."""
        self.error = error
        self._changed.set()

    async def change(self, seconds: float | None) -> None:
        """Return when something has changed, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()


class Subscriptions:
    """All waits of a poller; it contains the ids of the screenings that somebody waits for."""

    def __init__(self) -> None:
        self._all: dict[Subscription, None] = {}
        self._of: dict[str, list[Subscription]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, screening_id: object) -> bool:
        return screening_id in self._of

    @property
    def screenings(self) -> int:
        """Return how many screenings are waited for."""
        return len(self._of)

    def add(self, subscription: Subscription) -> None:
        """Take a wait in."""
        self._all[subscription] = None
        for screening_id in subscription.state.open:
            self._of.setdefault(screening_id, []).append(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Let a wait go, if it is still there."""
        self._all.pop(subscription, None)
        for screening_id in subscription.state.open:
            self._drop(screening_id, subscription)

    def fail(self, error: Exception) -> None:
        """End all waits."""
        for subscription in list(self._all):
            self.remove(subscription)
            subscription.fail(error)

    def notify(self, snapshots: Iterable[ScreeningSnapshot]) -> None:
        """Hand what was seen to whoever waits for it."""
        for snapshot in snapshots:
            for subscription in list(self._of.get(snapshot.screening_id, ())):
                subscription.see((snapshot,))
                if snapshot.screening_id not in subscription.state.open:
                    self._drop(snapshot.screening_id, subscription)

    def next_due(self) -> float:
        """Return when the next wait is due."""
        return min((one.due_at for one in self._all), default=math.inf)

    def due(self, now: float) -> list[Subscription]:
        """Return the waits that are due, and those that may as well be polled in the same round."""
        return [one for one in self._all if one.due_at - _EARLY * one.state.spec.pause(now) <= now]

    def hasten(self, now: float) -> None:
        """Have each wait polled an interval from now at the latest."""
        for one in self._all:
            one.due_at = min(one.due_at, now + one.state.spec.pause(now))

    def seen(self, screening_ids: Container[str]) -> list[Subscription]:
        """Return the waits of which every open screening is among these."""
        return [one for one in self._all if all(screening_id in screening_ids for screening_id in one.state.open)]

    def _drop(self, screening_id: str, subscription: Subscription) -> None:
        waits = self._of.get(screening_id, [])
        if subscription in waits:
            waits.remove(subscription)
        if not waits:
            self._of.pop(screening_id, None)
