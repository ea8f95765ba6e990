"""Time: this process's clock, which never jumps, the service's clock beside it, and moments and durations as texts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pihupulse_provider.api.errors import ConfigurationError

SERVER_TIME_MARGIN = 5.0
"""Seconds by which the service's time may differ from what its ``Date`` header says: it counts whole seconds."""
_REMEMBERED = 16
"""How many responses count: one that was on its way for long, or came out of a cache, is soon forgotten."""
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine is suspended, where the system has such a clock."""
_STARTED_AT = time.time() - time.clock_gettime(_STEADY)


def now() -> float:
    """Return the time in epoch seconds, as the wall clock said when this module was imported, and steady since then.

    Setting the machine's clock does not change it, so it measures durations too. Moments that several processes share
    come from the store, whose time each of them compares with this one.
    """
    return _STARTED_AT + time.clock_gettime(_STEADY)


def with_zone(moment: datetime) -> datetime:
    """Return a moment that has a zone: UTC where it names none, as all of the reference's are."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_iso(value: datetime | str) -> datetime:
    """Return the moment that a text names, or a moment itself. :raises ValueError: if it names none."""
    return with_zone(value if isinstance(value, datetime) else datetime.fromisoformat(str(value)))


def write_iso(moment: datetime) -> str:
    """Return the text as the reference writes it, such as ``2023-01-15T10:30:00Z``."""
    return moment.isoformat().replace("+00:00", "Z")


def seconds(argument: str, value: Any) -> float:
    """Return a duration in seconds. :raises ConfigurationError: if it is none, or not above 0."""
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < float("inf"):
        shown = str(value) if isinstance(value, timedelta) else repr(value)
        raise ConfigurationError(f"{argument} must be a number of seconds above 0 or a timedelta, not {shown}.")
    return float(number)


def moment(argument: str, value: datetime | str | None) -> datetime | None:
    """Return a moment, also of its ISO 8601 text; None if it is empty. :raises ConfigurationError: if it is none."""
    try:
        return read_iso(value) if value else None
    except ValueError:
        raise ConfigurationError(
            f"{argument} is {value!r}: it must be a datetime or an ISO 8601 text such as 2026-01-31T00:00:00Z."
        ) from None


class ServerTime:
    """The service's time next to ours.

    Each response says it as of when it was sent, which is some time before it came in. So the service's clock is
    surely as far on as the least that was said lately, and the most is the nearest guess.

    :param now: this process's clock, in epoch seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ahead: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def is_known(self) -> bool:
        """Return whether any response has said the service's time."""
        return bool(self._ahead)

    def see(self, moment: datetime | None) -> None:
        """Learn from a response that has just come in: its ``Date``, or when what it shows was created."""
        if moment is not None:
            self._ahead.append(moment.timestamp() - self._now())

    def earliest(self, moment: float) -> float:
        """Return what the service's clock said at the least at a moment of ours; the moment itself if nothing is known.

        Both are epoch seconds.
        """
        return moment + min(self._ahead, default=0.0)

    def latest(self, moment: float) -> float:
        """Return the same at the most, to within :data:`SERVER_TIME_MARGIN` seconds."""
        return moment + max(self._ahead, default=0.0)
