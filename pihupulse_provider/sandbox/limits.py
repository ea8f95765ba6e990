"""The plans' rate limits, as a token bucket or as a fixed window (API reference, "Rate Limiting").

The reference says "100 requests/minute, burst 150" and no more, so both readings are here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

PLANS: dict[str, tuple[int, int]] = {
    "starter": (100, 150),
    "professional": (300, 450),
    "enterprise": (1000, 1500),
}
"""Requests a minute and burst of each plan."""

WINDOW_SECONDS = 60.0
ROUNDING = 1e-6

Reading = Literal["bucket", "window"]
ResetMeaning = Literal["next-slot", "window-end", "full-bucket"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may be served, and the three headers; ``reset`` is in epoch seconds."""

    allowed: bool
    limit: int
    remaining: int
    reset: float


class Limiter(Protocol):
    """The limit of one API key."""

    def take(self, now: float) -> Verdict:
        """Judge a request made at ``now`` (epoch seconds); one that is refused costs nothing."""
        ...


class Unlimited:
    """No limit; the headers name one that nobody reaches."""

    LIMIT = 6_000_000

    def take(self, now: float) -> Verdict:
        """Allow the request."""
        return Verdict(True, self.LIMIT, self.LIMIT, now)


class Bucket:
    """A token bucket that holds ``burst`` requests and gains ``rate`` of them a minute."""

    def __init__(self, rate: int, burst: int, meaning: ResetMeaning = "next-slot") -> None:
        self._rate = rate
        self._burst = burst
        self._meaning = meaning
        self._tokens = float(burst)
        self._seen = -math.inf

    def take(self, now: float) -> Verdict:
        """Take one token if there is one."""
        gained = max(0.0, now - self._seen) * self._rate / 60
        self._tokens = min(float(self._burst), self._tokens + gained)
        self._seen = max(now, self._seen)
        allowed = self._tokens >= 1 - ROUNDING
        if allowed:
            self._tokens = max(0.0, self._tokens - 1)
        return Verdict(allowed, self._rate, math.floor(self._tokens + ROUNDING), self._reset(now))

    def _reset(self, now: float) -> float:
        if self._meaning == "window-end":
            return window_end(now)
        wanted = 1 if self._meaning == "next-slot" else self._burst
        return now + max(0.0, wanted - self._tokens) * 60 / self._rate


class Window:
    """At most ``size`` requests in each minute of the clock; ``rate`` is what the limit header says."""

    def __init__(self, rate: int, size: int, meaning: ResetMeaning = "window-end") -> None:
        self._rate = rate
        self._size = size
        self._meaning = meaning
        self._end = -math.inf
        self._used = 0

    def take(self, now: float) -> Verdict:
        """Count the request if the window has room."""
        if now >= self._end:
            self._end = window_end(now)
            self._used = 0
        allowed = self._used < self._size
        self._used += allowed
        return Verdict(allowed, self._rate, self._size - self._used, self._reset(now))

    def _reset(self, now: float) -> float:
        has_room = self._used < self._size
        return now if self._meaning == "next-slot" and has_room else self._end


def window_end(now: float) -> float:
    """Return when the clock's current minute ends, in epoch seconds."""
    return (now // WINDOW_SECONDS + 1) * WINDOW_SECONDS
