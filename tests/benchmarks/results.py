"""What a benchmark measured, as one JSON document a line: the format that all of them share.

A benchmark prints for whoever runs it, and calls :func:`record` for the page; without ``BENCHMARK_RESULTS`` that does
nothing. A worked line, of which only ``figures`` may hold other keys::

    {"case": "50,000 candidates", "subject": "dlt", "size": null, "figures": {"seconds": 27.1, "times ours": 11.2}}
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "BENCHMARK_RESULTS"


@dataclass(frozen=True)
class Result:
    """One line of a table, or one point of a plot.

    :ivar case: what was measured; a table or plot for each.
    :ivar subject: this provider, or what stands beside it.
    :ivar size: where it is on the plot's axis; None for a line of a table.
    :ivar figures: the numbers, each by its name and unit.
    """

    case: str
    subject: str
    figures: dict[str, float]
    size: float | None = None


def record(case: str, subject: str, size: float | None = None, **figures: float) -> None:
    """Keep a result; an underscore in a figure's name is a space on the page."""
    path = os.environ.get(VARIABLE)
    if path is None:
        return
    named = {name.replace("_", " "): value for name, value in figures.items()}
    with Path(path).open("a") as file:
        file.write(json.dumps(asdict(Result(case, subject, named, size))) + "\n")


def read(path: Path) -> list[Result]:
    """Return what was recorded in a file."""
    return [Result(**json.loads(line)) for line in path.read_text().splitlines()]
