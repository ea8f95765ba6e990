"""Counts what came of deliveries, and tells it now and then: a line for each one would let forgers fill the log."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping

from pihupulse_provider.webhooks.outcome import Outcome

_log = logging.getLogger(__name__)


class Tally:
    """Counts outcomes, and logs and reports them ``interval`` seconds after the first of them.

    :param report: takes the counts, for metrics.
    """

    def __init__(self, report: Callable[[Mapping[str, int]], None] | None = None, interval: float = 10.0) -> None:
        self._report = report
        self._interval = interval
        self._counts: Counter[Outcome] = Counter()

    def count(self, outcome: Outcome) -> None:
        """Count one request."""
        if not self._counts:
            asyncio.get_running_loop().call_later(self._interval, self.flush)
        self._counts[outcome] += 1

    def flush(self) -> None:
        """Log and report what was counted since the last time."""
        if not self._counts:
            return
        counts = {outcome.value: count for outcome, count in sorted(self._counts.items())}
        level = logging.INFO if all(outcome.is_good for outcome in self._counts) else logging.WARNING
        self._counts.clear()
        _log.log(level, "webhooks %s", " ".join(f"{name}={count}" for name, count in counts.items()))
        if self._report is not None:
            self._report(counts)
