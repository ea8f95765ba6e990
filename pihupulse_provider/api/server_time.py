"""The service's time next to this process's, as far as its responses tell it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime

MARGIN = 5.0
"""Seconds by which the service's time may differ from what its ``Date`` header tells: it counts whole seconds."""
_REMEMBERED = 16
"""How many responses count: one that was on its way for long, or came out of a cache, is soon forgotten."""


class ServerTime:
    """The service's time next to ours.

    Each response tells it as of when it was sent, which is some time before it came in. So the service's clock is
    surely as far on as the least that was told lately, and the most is the nearest guess.

    :param now: this process's clock, in epoch seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ahead: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def is_known(self) -> bool:
        """Return whether any response has told the service's time."""
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
        """Return the same at the most, to within :data:`MARGIN` seconds."""
        return moment + max(self._ahead, default=0.0)
