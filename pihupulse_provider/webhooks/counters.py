"""What can come of a request, and how often it did.

The counts are logged now and then: a line for each request would let forgers fill the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum

_log = logging.getLogger(__name__)

Report = Callable[[Mapping[str, int]], None]


class Outcome(StrEnum):
    """What came of a request; the value names it in the log and in metrics."""

    STORED = "stored"
    KNOWN = "known"
    BAD_SIGNATURE = "bad_signature"
    NOT_AN_EVENT = "not_an_event"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    UNAVAILABLE = "unavailable"
    NOT_FOUND = "not_found"
    MALFORMED = "malformed"
    TURNED_AWAY = "turned_away"

    @property
    def is_good(self) -> bool:
        """Return whether the event is in the inbox."""
        return self in (Outcome.STORED, Outcome.KNOWN)


class Counters:
    """Counts outcomes, and logs and reports them ``interval`` seconds after the first of them.

    :param report: takes the counts, for metrics.
    """

    def __init__(self, report: Report | None = None, interval: float = 10.0) -> None:
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
