"""How far a bulk operation is, for a person who reads the task's log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

log = logging.getLogger(__name__)
_FIRST_AFTER = 5.0
_EVERY = 30.0


class Progress:
    """Logs a line now and then: after 5 seconds, then every 30.

    :param verb: what is done, such as ``Creating candidates``. :param now: the time in seconds.
    :ivar done: how many rows are done. ``of``: how many there are; None when that is not known.
    """

    def __init__(self, verb: str, now: Callable[[], float]) -> None:
        self._verb = verb
        self._now = now
        self._began = self._last = now()
        self._due = self._began + _FIRST_AFTER
        self.done = self._told = 0
        self.of: int | None = None

    @property
    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return self._now() - self._began

    def expect(self, rows: int | None) -> None:
        """Set how many rows there are to do; None when that is not known."""
        self.of = rows

    def advance(self, rows: int = 1) -> None:
        """Count rows as done, and log if it is time."""
        self.done += rows
        now = self._now()
        if now >= self._due:
            rate = (self.done - self._told) / (now - self._last)
            log.info("%s: %s", self._verb, self._line(rate))
            self._last, self._told, self._due = now, self.done, now + _EVERY

    def _line(self, rate: float) -> str:
        if not self.of:
            return f"{self.done:,} rows, {rate:,.1f} rows a second"
        share = 100 * self.done / self.of
        left = timedelta(seconds=round((self.of - self.done) / rate)) if rate else "unknown time"
        return f"{self.done:,} of {self.of:,} rows ({share:.1f}%), {rate:,.1f} rows a second, {left} left"
