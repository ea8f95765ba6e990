"""A file of what became of screenings."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pihupulse_provider.operators.storage import write_lines
from pihupulse_provider.waiting.screening_snapshot import ScreeningSnapshot


def write_outcomes(path: str, snapshots: list[ScreeningSnapshot]) -> dict[str, Any]:
    """Write JSON Lines, one for each screening, and return where they are and how many of each status."""
    write_lines("results_path", path, (snapshot.public() for snapshot in snapshots))
    statuses = Counter(snapshot.status or "not seen" for snapshot in snapshots)
    return {"results_path": path, "screenings": len(snapshots), "statuses": dict(statuses)}
