"""Numbers, durations and moments in the words of a log that people read."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_NAMED = 20
"""How many ids a message names at most."""


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
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"


def named(words: Collection[str]) -> str:
    """Return the first 20 of some words, and how many more there are."""
    first = [word for word, _ in zip(words, range(_NAMED), strict=False)]
    return ", ".join(first) + (f" and {len(words) - _NAMED:,} more" if len(words) > _NAMED else "")
