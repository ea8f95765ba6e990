"""The service's time next to this process's, as far as ``Date`` headers tell it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

MARGIN = 5.0
"""Seconds by which the service's time may differ from what its ``Date`` header tells: it counts whole seconds."""


class ServerTime:
    """The service's time next to ours.

    :param now: this process's clock, in epoch seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ahead = 0.0

    def see(self, served_at: datetime | None) -> None:
        """Learn from the ``Date`` header of a response that has just come in."""
        if served_at is not None:
            self._ahead = served_at.timestamp() - self._now()

    def ours(self, moment: datetime | None) -> float | None:
        """Return a moment of the service's time in our epoch seconds."""
        return moment.timestamp() - self._ahead if moment is not None else None

    def is_before(self, moment: datetime | None, since: float | None) -> bool:
        """Return whether something surely happened on the service before ``since`` (our epoch seconds)."""
        if moment is None or since is None:
            return False
        return moment.timestamp() < since + self._ahead - MARGIN
