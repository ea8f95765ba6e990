"""The requests and the statuses of their responses."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

KEPT = 200_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One request; ``status`` is 0 when no response was sent, ``at`` is epoch seconds.

    ``route`` is the documented form of the path, such as ``/candidates/:id``, or ``undocumented``.
    """

    at: float
    method: str
    route: str
    path: str
    query: str
    status: int


class RequestLog:
    """The latest requests in full, and counters of all."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEPT)
        self._counts: Counter[tuple[str, int]] = Counter()

    def add(self, entry: Entry) -> None:
        """Record a request."""
        self.entries.append(entry)
        self._counts[f"{entry.method} {entry.route}", entry.status] += 1

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self._counts.clear()

    def count(self, operation: str | None = None, status: int | None = None) -> int:
        """Count requests by operation, such as ``POST /candidates``, and by status."""
        return sum(
            number
            for (name, code), number in self._counts.items()
            if operation in {None, name} and status in {None, code}
        )

    def summary(self) -> dict[str, Any]:
        """Return the counters as JSON."""
        operations: dict[str, dict[str, int]] = {}
        for (name, status), number in sorted(self._counts.items()):
            operations.setdefault(name, {})[str(status)] = number
        return {"total": self.count(), "refused": self.count(status=429), "operations": operations}
