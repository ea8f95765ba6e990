"""The five webhook events: when they are due and what they say (API reference, "Webhooks")."""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass, field
from typing import Any

from pihupulse_provider.sandbox.records import Screening


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it is sent."""

    name: str
    created_at: str
    data: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The raw body of the webhook."""
        payload = {"event": self.name, "created_at": self.created_at, "data": self.data}
        return json.dumps(payload, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """A screening's next step; it is void once the screening was changed by hand."""

    at: float
    order: int
    step: str = field(compare=False)
    screening: Screening = field(compare=False)
    changes: int = field(compare=False)

    @property
    def void(self) -> bool:
        """Tell whether the screening was changed since the step was planned."""
        return self.changes != self.screening.changes


class Schedule:
    """The steps that screenings will take, in the order of their time."""

    def __init__(self) -> None:
        self._steps: list[Due] = []
        self._planned = 0

    def plan(self, screening: Screening, now: float) -> None:
        """Plan the steps that are still ahead of ``now`` (epoch seconds)."""
        self._plan(screening, "started", screening.starts_at, now)
        self._plan(screening, "ended", screening.ends_at, now)

    def take(self, now: float) -> list[Due]:
        """Return the steps that are due and take them off the schedule."""
        taken = []
        while self._steps and self._steps[0].at <= now:
            step = heapq.heappop(self._steps)
            if not step.void:
                taken.append(step)
        return taken

    def _plan(self, screening: Screening, step: str, at: float | None, now: float) -> None:
        if at is not None and at >= now:
            self._planned += 1
            heapq.heappush(self._steps, Due(at, self._planned, step, screening, screening.changes))
