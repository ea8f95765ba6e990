"""What the machines of a fleet should agree on, and warns of once in a process: the plan, and the time."""

from __future__ import annotations

import logging

from pihupulse_provider.api.rate_limit import PLANS, Plan
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders

log = logging.getLogger(__name__)
_APART = 10.0
"""Seconds that two clocks may differ: headers count whole ones, and requests take their time."""


def plan_problem(allowed: Plan | None, advertised: Plan | None) -> str | None:
    """Return in a sentence why a connection's plan is the wrong one; None if nothing says so.

    A rate that is none of a plan's is one that somebody chose, to leave the rest to other programs.
    """
    names = {plan: name for name, plan in PLANS.items()}
    if allowed not in names or advertised is None or allowed.requests_per_minute >= advertised.requests_per_minute:
        return None
    return (
        f"The connection's plan is {names[allowed]} with {allowed.requests_per_minute:g} requests a minute here, and "
        f"PihuPulse allows {advertised.requests_per_minute:g}. Workers share one limit, so this one slows down all of "
        "them: take the plan out of the connection, since PihuPulse says it."
    )


def clock_problem(ahead: float, of: str) -> str | None:
    """Return in a sentence that this machine's clock is wrong, or the other; None if they agree.

    :param ahead: by how many seconds this machine's is ahead. ``of``: whose the other is, such as ``"the store's"``.
    """
    if abs(ahead) <= _APART:
        return None
    return (
        f"This machine's clock is {abs(ahead):,.0f} seconds {'ahead of' if ahead > 0 else 'behind'} {of}. Nothing is "
        "created twice for that, but times in logs do not compare, and Airflow's own tokens can count as expired: "
        "check that NTP runs on both."
    )


def seconds_ahead(headers: RateLimitHeaders) -> float | None:
    """Return by how much the clock that timed a request is surely ahead of the server's; None if it did not say."""
    if headers.served_at is None:
        return None
    if headers.served_at < headers.sent_at:
        return headers.sent_at - headers.served_at
    return min(0.0, headers.received_at - headers.served_at)


class Disagreements:
    """Warns of what a process finds, of each thing once.

    :ivar found: what it warned of.
    """

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def compare_plans(self, allowed: Plan | None, advertised: Plan | None) -> None:
        """Warn if a connection's plan slows down everybody."""
        self._warn("plan", plan_problem(allowed, advertised))

    def compare_clocks(self, ahead: float | None, of: str) -> None:
        """Warn if this machine's clock and another differ."""
        self._warn(of, None if ahead is None else clock_problem(ahead, of))

    def _warn(self, subject: str, problem: str | None) -> None:
        if problem is not None and subject not in self.found:
            self.found[subject] = problem
            log.warning("%s", problem)
