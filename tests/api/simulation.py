"""A service with a rate limit and several senders, in simulated time."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pihupulse_provider.api.rate_limit import LimitState, reserve
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders, observe

MINUTE = 60.0
Reading = Literal["bucket", "window"]
Reset = Literal["next-slot", "full-bucket", "window-end"]


@dataclass
class Server:
    """Counts as a token bucket or as a fixed window, and tells its reset in one of three meanings.

    :ivar rate: requests a minute. ``burst``: what the bucket holds.
    :ivar skew: by how many seconds its clock is wrong.
    :ivar headers: whether it tells limit, remaining and reset. ``limit``: what it tells as its limit.
    :ivar starts_at: when the first request comes, in epoch seconds. ``phase``: how old its window is by then.
    """

    rate: float
    burst: float
    reading: Reading = "bucket"
    reset: Reset = "next-slot"
    skew: float = 0.0
    headers: bool = True
    limit: float | None = None
    starts_at: float = 1_000_000.0
    phase: float = 0.0
    refused: int = 0
    accepted: list[float] = field(default_factory=list)
    _tokens: float = 0.0
    _refilled_at: float = 0.0
    _ends_at: float = 0.0
    _used: int = 0

    def __post_init__(self) -> None:
        self._tokens = self.burst
        self._refilled_at = self.starts_at

    def handle(self, now: float) -> tuple[bool, dict[str, Any]]:
        """Admit or refuse a request; return what the headers tell as arguments for ``RateLimitHeaders``."""
        admitted, remaining, reset = self._bucket(now) if self.reading == "bucket" else self._fixed_window(now)
        if admitted:
            self.accepted.append(now)
        self.refused += not admitted
        if not self.headers:
            return admitted, {}
        served = math.floor(now + self.skew)
        shown_reset = math.ceil(reset + self.skew)
        limit = self.rate if self.limit is None else self.limit
        return admitted, {"limit": limit, "remaining": remaining, "resets_in": max(0.0, shown_reset - served)}

    def least_seconds(self, requests: int) -> float:
        """Return the least time in which so many requests can be admitted."""
        if self.reading == "bucket":
            return max(0.0, (requests - self.burst) * MINUTE / self.rate)
        return (math.ceil(requests / self.rate) - 1) * MINUTE - self.phase

    def _bucket(self, now: float) -> tuple[bool, int, float]:
        self._tokens = min(self.burst, self._tokens + (now - self._refilled_at) * self.rate / MINUTE)
        self._refilled_at = now
        admitted = self._tokens >= 1
        self._tokens -= admitted
        resets = {
            "next-slot": now + max(0.0, 1 - self._tokens) * MINUTE / self.rate,
            "full-bucket": now + (self.burst - self._tokens) * MINUTE / self.rate,
            "window-end": self._window_end(now),
        }
        return admitted, int(self._tokens), resets[self.reset]

    def _fixed_window(self, now: float) -> tuple[bool, int, float]:
        window_end = self._window_end(now)
        if window_end != self._ends_at:
            self._ends_at, self._used = window_end, 0
        admitted = self._used < self.rate
        self._used += admitted
        return admitted, int(self.rate - self._used), window_end

    def _window_end(self, now: float) -> float:
        began = self.starts_at - self.phase
        return began + (math.floor((now - began) / MINUTE) + 1) * MINUTE


@dataclass
class Sender:
    """One of those who send one request after the other.

    :ivar state_of: which of the limit's states it uses. ``poll``: whether it gives way.
    """

    state_of: int
    poll: bool = False
    done: list[float] = field(default_factory=list)


@dataclass
class Simulation:
    """Senders that share one or several states of the limit of one server.

    :ivar requests: how many they send in all; None to go on until ``until``.
    :ivar until: simulated seconds after which nobody begins another request.
    :ivar latency: seconds there and back, of which each way varies by up to ``jitter``.
    """

    server: Server
    states: list[LimitState]
    senders: list[Sender]
    requests: int | None = None
    until: float = math.inf
    latency: float = 0.05
    jitter: float = 0.01
    seed: int = 1

    def run(self) -> float:
        """Return the seconds until the last request was admitted."""
        self._chance = random.Random(self.seed)
        self._events: list[tuple[float, int, Iterator[float]]] = []
        self._order = itertools.count()
        self._todo = math.inf if self.requests is None else self.requests
        for sender in self.senders:
            self._schedule(self.server.starts_at, self._send(sender))
        while self._events:
            self._now, _, steps = heapq.heappop(self._events)
            if (at := next(steps, None)) is not None:
                self._schedule(at, steps)
        return max(self.server.accepted) - self.server.starts_at

    def _schedule(self, at: float, steps: Iterator[float]) -> None:
        heapq.heappush(self._events, (at, next(self._order), steps))

    def _send(self, sender: Sender) -> Iterator[float]:
        """Send until there is nothing left; yield the time of each next step."""
        while self._todo and self._now - self.server.starts_at < self.until:
            self._todo -= 1
            admitted = False
            while not admitted:
                slot = yield from self._slot(sender)
                sent_at = self._now
                yield self._now + self.latency / 2 + self.jitter * self._chance.random()
                admitted, shown = self.server.handle(self._now)
                yield self._now + self.latency / 2 + self.jitter * self._chance.random()
                headers = RateLimitHeaders(
                    sent_at=sent_at, received_at=self._now, limited=not admitted, backoff=0.75, **shown
                )
                self.states[sender.state_of] = observe(self.states[sender.state_of], slot, headers)
            sender.done.append(sent_at)

    def _slot(self, sender: Sender) -> Iterator[float]:
        while True:
            self.states[sender.state_of], slot = reserve(self.states[sender.state_of], self._now, poll=sender.poll)
            yield max(self._now, slot.at)
            if slot.taken and slot.voided >= self.states[sender.state_of].voided:
                return slot


def run(
    server: Server,
    requests: int,
    *,
    senders: int = 16,
    processes: int = 1,
    shared: bool = True,
    state: LimitState | None = None,
    **options: Any,
) -> float:
    """Send so many requests; return the simulated seconds until the last was admitted.

    :param senders: how many send at once in each process.
    :param shared: whether all processes share one state, as by a store.
    """
    states = [state or LimitState() for _ in range(1 if shared else processes)]
    everybody = [Sender(number % len(states)) for number in range(senders * processes)]
    seconds = Simulation(server, states, everybody, requests, **options).run()
    assert len(server.accepted) == requests
    return seconds
