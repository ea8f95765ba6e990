"""Files of screenings: which to wait for, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from pihupulse_provider.bulk.landing import write_json_lines
from pihupulse_provider.watches.sighting import Sighting


def read_lines(path: str) -> Iterator[str]:
    """Return the lines of a file that are not empty, at any storage that Airflow knows."""
    with ObjectStoragePath(path).open("r", encoding="utf-8") as file:  # type: ignore[no-untyped-call]
        # Airflow 3.0 wraps the file in something that can't be iterated over.
        yield from (line for line in iter(file.readline, "") if line.strip())


def write_outcomes(path: str, sightings: list[Sighting]) -> dict[str, Any]:
    """Write JSON Lines, one for each screening, and return where they are and how many of each status."""
    write_json_lines(ObjectStoragePath(path), (sighting.public() for sighting in sightings))
    statuses = Counter(sighting.status or "not seen" for sighting in sightings)
    return {"results_path": path, "screenings": len(sightings), "statuses": dict(statuses)}
