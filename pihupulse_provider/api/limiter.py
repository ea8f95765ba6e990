"""Who holds an account's limit: one for all clients of the account in this process, or a shared store."""

from __future__ import annotations

import threading
from collections.abc import Callable
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
        self._state = LimitState(cap=plan)
        self._lock = threading.Lock()
        self.now = clock

    @property
    def state(self) -> LimitState:
        """Return what is known of the limit now."""
        return self._state

    @property
    def plan(self) -> Plan:
        """Return the plan in force, as far as known."""
        return self._state.plan

    def reserve(self, *, poll: bool = False) -> Slot:
        """Take the next free slot."""
        with self._lock:
            self._state, slot = reserve(self._state, self.now(), poll=poll)
        return slot

    def observe(self, slot: Slot, headers: RateLimitHeaders) -> None:
        """Correct the limit by what a response says."""
        with self._lock:
            self._state = observe(self._state, slot, headers)

    def is_void(self, slot: Slot) -> bool:
        """Return whether the account was paused since the slot was taken."""
        return slot.voided < self._state.voided


_limits: dict[str, MemoryRateLimit] = {}
_limits_lock = threading.Lock()


def process_rate_limit(account: str, plan: Plan | None = None) -> MemoryRateLimit:
    """Return this process's one limit for an account; the plan counts when it is first asked for."""
    with _limits_lock:
        if account not in _limits:
            _limits[account] = MemoryRateLimit(plan)
        return _limits[account]
