"""Who holds an account's limit: one for all clients of the account in this process, or a shared store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from pihupulse_provider.api.clock import now
from pihupulse_provider.api.rate_limit import LimitState, Plan, Slot, reserve
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders, observe

__all__ = ["MemoryRateLimit", "RateLimit"]


class RateLimit(Protocol):
    """An account's limit, shared by whoever holds the same object or the same store."""

    @property
    def blocks(self) -> bool:
        """Return whether its methods do I/O, so that an event loop must not call them itself."""
        ...

    @property
    def plan(self) -> Plan:
        """Return the plan in force, as far as known. Does no I/O."""
        ...

    def now(self) -> float:
        """Return the time on this limit's clock, in epoch seconds."""
        ...

    def reserve(self, *, poll: bool = False) -> Slot:
        """Take the next free slot."""
        ...

    def observe(self, slot: Slot, headers: RateLimitHeaders) -> None:
        """Correct the limit by what a response says."""
        ...

    def is_void(self, slot: Slot) -> bool:
        """Return whether the account was paused since the slot was taken. Does no I/O."""
        ...


class MemoryRateLimit:
    """An account's limit within one process; safe to use from any thread.

    :param plan: the most that is used, whatever the service says; None to start as Starter and learn from it.
    :param clock: returns the time in epoch seconds.
    """

    blocks = False

    def __init__(self, plan: Plan | None = None, clock: Callable[[], float] = now) -> None:
        self._cap = plan
        self._shared = _Shared()
        self.now = clock

    def with_plan(self, plan: Plan | None) -> MemoryRateLimit:
        """Return the same limit for somebody who uses another plan of it at the most."""
        view = MemoryRateLimit(plan, self.now)
        view._shared = self._shared
        return view

    @property
    def state(self) -> LimitState:
        """Return what is known of the limit now."""
        state = self._shared.state
        return state if state.cap == self._cap else replace(state, cap=self._cap)

    @property
    def plan(self) -> Plan:
        """Return the plan in force, as far as known."""
        return self.state.plan

    def reserve(self, *, poll: bool = False) -> Slot:
        """Take the next free slot."""
        with self._shared.lock:
            self._shared.state, slot = reserve(self.state, self.now(), poll=poll)
        return slot

    def observe(self, slot: Slot, headers: RateLimitHeaders) -> None:
        """Correct the limit by what a response says."""
        with self._shared.lock:
            self._shared.state = observe(self.state, slot, headers)

    def is_void(self, slot: Slot) -> bool:
        """Return whether the account was paused since the slot was taken."""
        return slot.voided < self._shared.state.voided


class _Shared:
    """What is known of an account's limit, whoever uses it; its cap is that of who used it last."""

    def __init__(self) -> None:
        self.state = LimitState()
        self.lock = threading.Lock()


_limits: dict[str, dict[Plan | None, MemoryRateLimit]] = {}
_limits_lock = threading.Lock()


def process_rate_limit(account: str, plan: Plan | None = None) -> MemoryRateLimit:
    """Return this process's one view, under a plan, of its one limit for an account."""
    with _limits_lock:
        views = _limits.setdefault(account, {None: MemoryRateLimit()})
        if plan not in views:
            views[plan] = views[None].with_plan(plan)
        return views[plan]
