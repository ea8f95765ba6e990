"""What an account may do (API reference, "Rate Limiting")."""

from __future__ import annotations

import math
from typing import NamedTuple

MINUTE = 60.0
_JITTER = 0.1
"""Seconds by which requests may bunch up on their way; that many seconds' worth of tokens is never spent."""


class Plan(NamedTuple):
    """What an account may do: requests a minute, and requests at once."""

    requests_per_minute: float
    burst: float

    @property
    def interval(self) -> float:
        """Return the seconds between two requests at the sustained rate."""
        return MINUTE / self.requests_per_minute

    @property
    def spendable(self) -> float:
        """Return the burst that is used: slightly below the server's."""
        return max(1.0, self.burst - max(1.0, math.ceil(_JITTER / self.interval)))

    def within(self, cap: Plan) -> Plan:
        """Return the smaller of both."""
        return Plan(min(self.requests_per_minute, cap.requests_per_minute), min(self.burst, cap.burst))

    @property
    def paces_singly(self) -> bool:
        """Return whether there is no burst, so that the distance to the last request sent is what counts."""
        return self.burst <= 1


PLANS = {"starter": Plan(100, 150), "professional": Plan(300, 450), "enterprise": Plan(1000, 1500)}
"""The plans of the API reference, "Rate Limiting"."""


def plan_for_limit(limit: float) -> Plan:
    """Return the plan that an ``X-RateLimit-Limit`` header tells; an unknown one gets no burst beyond its rate."""
    for plan in PLANS.values():
        if limit in (plan.requests_per_minute, plan.burst):
            return plan
    return Plan(limit, limit)
