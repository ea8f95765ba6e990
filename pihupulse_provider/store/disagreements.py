"""Warns, once in a process, if the machines of a fleet disagree on the plan or the time."""

from __future__ import annotations

import logging

from pihupulse_provider.api.rate_limit import PLANS, Plan

log = logging.getLogger(__name__)
_APART = 10.0
"""Seconds that two clocks may differ: headers count whole ones, and requests take their time."""


class Disagreements:
    """Warns of what a process finds, of each thing once.

    :ivar found: what it warned of.
    """

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def compare_plans(self, allowed: Plan | None, advertised: Plan | None) -> None:
        """Warn if a connection's plan slows down everybody.

        A rate that is none of a plan's is one that somebody chose, to leave the rest to other programs.
        """
        names = {plan: name for name, plan in PLANS.items()}
        if allowed not in names or advertised is None or allowed.requests_per_minute >= advertised.requests_per_minute:
            return
        self._warn(
            "plan",
            f"The connection's plan is {names[allowed]} with {allowed.requests_per_minute:g} requests a minute here, "
            f"and PihuPulse allows {advertised.requests_per_minute:g}. Workers share one limit, so this one slows down "
            "all of them: take the plan out of the connection, since PihuPulse says it.",
        )

    def compare_clocks(self, ahead: float | None, of: str) -> None:
        """Warn if this machine's clock is so many seconds ahead of another's, or behind it (negative).

        :param ahead: None if that is not known. :param of: whose the other is, such as ``"the store's"``.
        """
        if ahead is None or abs(ahead) <= _APART:
            return
        self._warn(
            of,
            f"This machine's clock is {abs(ahead):,.0f} seconds {'ahead of' if ahead > 0 else 'behind'} {of}. Nothing "
            "is created twice for that, but times in logs do not compare, and Airflow's own tokens can count as "
            "expired: check that NTP runs on both.",
        )

    def _warn(self, subject: str, problem: str) -> None:
        if subject not in self.found:
            self.found[subject] = problem
            log.warning("%s", problem)
