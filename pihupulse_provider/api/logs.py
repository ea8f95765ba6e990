"""What logs and errors say: numbers, durations and moments in words, an outage once, and progress now and then."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

log = logging.getLogger(__name__)
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAMED = 20
"""How many ids a message names at most."""
_YEAR_10000 = 253_402_300_800.0
"""In epoch seconds; a timeout may reach past what a date can be."""
_FIRST_AFTER = 5.0
_EVERY = 30.0
"""Seconds until progress is said first, and from one line to the next."""


def counted(number: float, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "row"), counted(1200, "row"), counted(0.5, "second")
    ('1 row', '1,200 rows', '0.5 seconds')
    """
    return f"{number:,.15g} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a duration in at most two units, such as ``30 days``, ``1 hour 5 minutes`` or ``0.5 seconds``."""
    if 0 < seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} seconds"
    left, parts = round(seconds), list[str]()
    for size, unit in _UNITS:
        number, left = divmod(left, size)
        if number:
            parts.append(counted(number, unit))
    return " ".join(parts[:2]) or "0 seconds"


def utc(moment: float) -> str:
    """Return a moment, given in epoch seconds, such as ``2026-01-31 12:30:05 UTC``."""
    if moment >= _YEAR_10000:
        return "the end of the year 9999"
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"


def named(words: Collection[str]) -> str:
    """Return the first 20 of some words, and how many more there are."""
    first = [word for word, _ in zip(words, range(_NAMED), strict=False)]
    return ", ".join(first) + (f" and {len(words) - _NAMED:,} more" if len(words) > _NAMED else "")


def shown_id(text: str) -> str:
    """Return an id as messages show it: what can't be one is not shown, since it may be a person's data.

    >>> shown_id("c12345"), shown_id("ana@example.com")
    ('c12345', '(a text of 15 characters)')
    """
    return text if _ID.fullmatch(text) else f"(a text of {len(text)} characters)"


class Log(Protocol):
    """What is needed of a logger: Airflow's own and the standard library's both have it."""

    def info(self, event: str, /, *args: Any) -> Any:
        """Log at the level INFO."""
        ...

    def warning(self, event: str, /, *args: Any) -> Any:
        """Log at the level WARNING: somebody should look at it."""
        ...

    def log(self, level: int, event: str, /, *args: Any) -> Any:
        """Log at a level."""
        ...


class OutageLog:
    """Logs the first failure in a row, and the recovery from it; the failures between go to DEBUG.

    Make one for each thing that can fail, and call :meth:`failed` or :meth:`recovered` after every try::

        try:
            tail(store)
        except StoreError as error:
            outage.failed("The inbox can't be read now: %s", error)
        else:
            outage.recovered("The inbox can be read again.")

    :param log: where to.
    :param level: the level of the first failure; a recovery is logged at INFO.
    :ivar is_failing: whether the last try failed.
    """

    def __init__(self, log: Log, level: int = logging.WARNING) -> None:
        self._log = log
        self._level = level
        self.is_failing = False

    def failed(self, message: str, *args: object) -> None:
        """Take note of a failure; say it if the last try did not fail."""
        self._log.log(logging.DEBUG if self.is_failing else self._level, message, *args)
        self.is_failing = True

    def recovered(self, message: str, *args: object) -> None:
        """Take note of a success; say it if the last try failed."""
        if self.is_failing:
            self._log.info(message, *args)
        self.is_failing = False


class Progress:
    """Logs a line now and then: after 5 seconds, then every 30.

    :param verb: what is done, such as ``Creating candidates``. :param now: the time in seconds.
    :ivar done: how many rows are done. ``of``: how many there are, which its owner sets; None when that is not known.
    """

    def __init__(self, verb: str, now: Callable[[], float]) -> None:
        self._verb = verb
        self._now = now
        self._began = self._last = now()
        self._due = self._began + _FIRST_AFTER
        self.done = self._logged = 0
        self.of: int | None = None

    @property
    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return self._now() - self._began

    def advance(self, rows: int = 1) -> None:
        """Count rows as done, and log if it is time."""
        self.done += rows
        now = self._now()
        if now >= self._due:
            rate = (self.done - self._logged) / (now - self._last)
            log.info("%s: %s", self._verb, self._line(rate))
            self._last, self._logged, self._due = now, self.done, now + _EVERY

    def _line(self, rate: float) -> str:
        if not self.of:
            return f"{self.done:,} rows, {rate:,.1f} rows a second"
        share = 100 * self.done / self.of
        left = timedelta(seconds=round((self.of - self.done) / rate)) if rate else "unknown time"
        return f"{self.done:,} of {self.of:,} rows ({share:.1f}%), {rate:,.1f} rows a second, {left} left"
