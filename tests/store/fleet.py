"""Processes that share an account's limit in one store, in simulated time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache

from pihupulse_provider.api import Plan
from pihupulse_provider.api.rate_limit import Slot
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.limits import StoreRateLimit

NOW = 1_700_000_000.0
ENTERPRISE = Plan(1000, 1500)
_accounts = (f"account {number}" for number in itertools.count())


class CommonStore(Store):
    """A store in memory whose time is its latest fleet's."""

    fleet: Fleet

    def __init__(self) -> None:
        super().__init__("sqlite://", lambda: self.fleet.now + self.fleet.store_apart)


_store = cache(CommonStore)


class Fleet:
    """Processes that share a limit in one store, in simulated time.

    :ivar sent: when requests were sent. ``store_apart``: how far the store's clock is from the processes'.
    """

    def __init__(self, plan: Plan, processes: int = 3) -> None:
        self.now = NOW
        self.store_apart = 0.0
        self.plan = plan
        self.store = _store()
        self.store.fleet = self
        self.account = next(_accounts)
        self.limits = [self.start() for _ in range(processes)]
        self.sent: list[float] = []
        self._sleeping: list[tuple[StoreRateLimit, Slot, bool]] = []

    def start(self) -> StoreRateLimit:
        return StoreRateLimit(self.store, self.account, self.plan, clock=lambda: self.now)

    def kill(self, process: int) -> None:
        """Start a process anew, without whoever slept in it."""
        limit = self.limits[process]
        self._sleeping = [one for one in self._sleeping if one[0] is not limit]
        self.limits[process] = self.start()

    def spend_the_burst(self) -> None:
        """Have another process use what may go at once, and die."""
        while self.limits[1].reserve().at <= self.now:
            pass
        self.kill(1)
        self.sleep_until(self.now + 2)
        self.sent.clear()

    def ask(self, limit: StoreRateLimit, *, poll: bool = False) -> None:
        slot = limit.reserve(poll=poll)
        if slot.taken and slot.at <= self.now:
            self.sent.append(self.now)
        else:
            self._sleeping.append((limit, slot, poll))

    def import_in(self, limits: Sequence[StoreRateLimit], seconds: float, senders: int = 16) -> None:
        """Send with so many senders in each process that ask again as soon as they have sent."""
        until = self.now + seconds
        while self.now < until:
            for limit in limits:
                for _ in range(senders - sum(one[0] is limit for one in self._sleeping)):
                    self.ask(limit)
            self.sleep_until(self.now + 0.05)

    def sleep_until(self, moment: float) -> None:
        """Let time pass, in which sleepers wake as the client's do."""
        while due := [one for one in self._sleeping if one[1].at <= moment]:
            first = min(due, key=lambda one: one[1].at)
            self._sleeping.remove(first)
            limit, slot, poll = first
            self.now = max(self.now, slot.at)
            if slot.taken and not limit.is_void(slot):
                self.sent.append(self.now)
            else:
                self.ask(limit, poll=poll)
        self.now = moment

    def respond(self, limit: StoreRateLimit, /, **headers: object) -> None:
        known = limit._known
        slot = Slot(self.now, taken=True, voided=known.voided)
        limit.observe(slot, RateLimitHeaders(sent_at=self.now, received_at=self.now, **headers))  # type: ignore[arg-type]


def exceeds(sent: list[float], plan: Plan) -> bool:
    """Return whether a token bucket, of a request more than is ever spent, would have refused any."""
    tokens, counted_at = plan.burst, NOW
    for at in sorted(sent):
        tokens = min(plan.burst, tokens + (at - counted_at) / plan.interval) - 1
        counted_at = at
        if tokens < -1e-3:
            return True
    return False
