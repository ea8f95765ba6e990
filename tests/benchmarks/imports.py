"""What a DAG file pays for importing the provider, on top of ``airflow.sdk``: ``python -m tests.benchmarks.imports``.

The self times of ``python -X importtime``, summed over every module that is loaded after Airflow's own base classes;
the best of several runs, as anything else that runs on the machine only makes it slower.
"""

from __future__ import annotations

import re
import subprocess
import sys

RUNS = 7
GOAL_MS = 30.0
SHOWN = 10
BASE = "from airflow.providers.common.compat.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator"
MODULES = (
    "pihupulse_provider.operators.candidates",
    "pihupulse_provider.operators.screenings",
    "pihupulse_provider.operators.reports",
    "pihupulse_provider.operators.templates",
    "pihupulse_provider.operators.events",
    "pihupulse_provider.sensors.screening",
    "pihupulse_provider.sensors.event",
    "pihupulse_provider.triggers.watch",
    "pihupulse_provider.triggers.event",
)
LINE = re.compile(r"import time:\s+(?P<self>\d+) \|\s+\d+ \|\s+(?P<name>\S+)")


def measure() -> dict[str, float]:
    """Return the milliseconds of each module that the provider adds."""
    base, with_provider = _times(BASE), _times(f"{BASE}\nimport {', '.join(MODULES)}")
    return {name: spent for name, spent in with_provider.items() if name not in base}


def main() -> None:
    """Print the best run, and what it was spent on."""
    best = min((measure() for _ in range(RUNS)), key=lambda added: sum(added.values()))
    total = sum(best.values())
    print(f"{len(MODULES)} modules: {total:.1f} ms on top of airflow.sdk (goal: at most {GOAL_MS:.0f} ms)")
    for name, spent in sorted(best.items(), key=lambda item: -item[1])[:SHOWN]:
        print(f"  {spent:6.2f} ms  {name}")


def _times(code: str) -> dict[str, float]:
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    found = map(LINE.match, done.stderr.splitlines())
    return {match["name"]: int(match["self"]) / 1000 for match in found if match}


if __name__ == "__main__":
    main()
