"""Says in the log what a poller does, at a pace that a person can follow."""

from __future__ import annotations

import logging
from collections.abc import Callable

_QUIET_SECONDS = 300.0


class RoundLog:
    """Tells of rounds: at most every five minutes of those that went alike, the rest at debug level.

    :param log: where to.
    :param clock: returns the time in epoch seconds.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._told_at: dict[int, float] = {}
        self._requests = 0
        self._rounds = 0

    def done(self, waits: int, screenings: int, requests: int) -> None:
        """Tell of a round that looked at everything it wanted."""
        self._rounds += 1
        self._requests += requests
        self._told_at.pop(logging.WARNING, None)
        if self._tell(
            logging.INFO,
            f"Watching {screenings} screenings for {waits} waits: {self._requests} requests in {self._rounds} rounds "
            f"since the last such line.",
        ):
            self._rounds = self._requests = 0

    def failed(self, waits: int, error: Exception) -> None:
        """Tell of a round that broke off."""
        self._tell(logging.WARNING, f"A look at PihuPulse for {waits} waits failed, they go on: {error}")

    def _tell(self, level: int, message: str) -> bool:
        now = self._clock()
        due = now - self._told_at.get(level, -_QUIET_SECONDS) >= _QUIET_SECONDS
        self._log.log(level if due else logging.DEBUG, message)
        if due:
            self._told_at[level] = now
        return due
