"""Files of screenings: which to wait for, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from pihupulse_provider.exporting.atomic_file import write_json_lines
from pihupulse_provider.waiting.screening_snapshot import ScreeningSnapshot


def read_lines(path: str) -> Iterator[str]:
    """Return the lines of a file that are not empty, at any storage that Airflow knows."""
    with ObjectStoragePath(path).open("r", encoding="utf-8") as file:  # type: ignore[no-untyped-call]
        # Airflow 3.0 wraps the file in something that can't be iterated over.
        yield from (line for line in iter(file.readline, "") if line.strip())


def write_outcomes(path: str, snapshots: list[ScreeningSnapshot]) -> dict[str, Any]:
    """Write JSON Lines, one for each screening, and return where they are and how many of each status."""
    write_json_lines(ObjectStoragePath(path), (snapshot.public() for snapshot in snapshots))
    statuses = Counter(snapshot.status or "not seen" for snapshot in snapshots)
    return {"results_path": path, "screenings": len(snapshots), "statuses": dict(statuses)}
