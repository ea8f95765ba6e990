"""Files of screenings: which to wait for, and what became of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from pihupulse_provider.watches.sighting import Sighting


def read_lines(path: str) -> Iterator[str]:
    """Return the lines of a file that are not empty, at any storage that Airflow knows."""
    with ObjectStoragePath(path).open("r", encoding="utf-8") as file:  # type: ignore[no-untyped-call]
        yield from (line for line in file if line.strip())


def write_outcomes(path: str, sightings: list[Sighting]) -> dict[str, Any]:
    """Write JSON Lines, one for each screening, and return where they are and how many of each status."""
    target = ObjectStoragePath(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8") as file:  # type: ignore[no-untyped-call]
        file.writelines(json.dumps(sighting.public()) + "\n" for sighting in sightings)
    statuses = Counter(sighting.status or "not seen" for sighting in sightings)
    return {"results_path": path, "screenings": len(sightings), "statuses": dict(statuses)}
