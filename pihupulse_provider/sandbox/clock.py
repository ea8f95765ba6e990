"""The server's time, and how it is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate


class Clock:
    """The time by which everything in the sandbox happens, and the time it reports.

    ``source`` returns epoch seconds. ``skew`` is added to every time that it reports (``Date``,
    ``X-RateLimit-Reset``, timestamps), as by a server whose clock is wrong, and changes nothing that happens.
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self.skew = 0.0
        self._source = source
        self._ahead = 0.0
        self._date = (0, "")

    def now(self) -> float:
        """Return the current time in epoch seconds, without the skew."""
        return self._source() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once."""
        self._ahead += seconds

    def reported(self, at: float) -> float:
        """Return ``at`` (epoch seconds) as this server reports it."""
        return at + self.skew

    def timestamp(self, at: float) -> str:
        """Return ``at`` (epoch seconds) like ``2023-01-15T10:30:00Z``."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.reported(at)))

    def http_date(self) -> str:
        """Return the current time for the ``Date`` header."""
        second = int(self.reported(self.now()))
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]
