"""All benchmarks, one after the other, and the page of them: ``python -m tests.benchmarks [--quick] [NAME ...]``."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import report, results

QUICK = {
    "imports": "",
    "growth": "--rows 100000 --waits 1000 --events 100000",
    "rate_limit": "",
    "shared_limit": "--rate 1000 --distance 10",
    "import_candidates": "",
    "export": "--rows 5000",
    "export_to_sql": "--rows 5000",
    "waiting": "--seconds 10",
    "webhooks": "--rounds 3",
    "delivery": "--deliveries 3 --waits 1",
}
"""Each benchmark, and what makes it quick."""


def main() -> int:
    """Run the named benchmarks, or all; return 0 if each ran."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(QUICK))
    parser.add_argument("--quick", action="store_true", help="take small sizes")
    options = parser.parse_args()
    if unknown := set(options.names) - set(QUICK):
        parser.error(f"There is no benchmark {', '.join(sorted(unknown))}: choose of {', '.join(QUICK)}.")
    failed = [name for name in options.names or QUICK if not _run(name, QUICK[name] if options.quick else "")]
    report.write_page(QUICK)
    if failed:
        print(f"\nDid not run to the end: {', '.join(failed)}.")
    return bool(failed)


def _run(name: str, arguments: str) -> bool:
    """Run one and keep what it recorded; return whether it ran to its end."""
    print(f"\n=== {name} {arguments}", flush=True)
    command = f"python -m tests.benchmarks.{name} {arguments}".strip()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "results")
        path.touch()
        environment = {**os.environ, results.VARIABLE: str(path)}
        words = [sys.executable, *shlex.split(command)[1:]]
        ran = subprocess.run(words, env=environment, check=False).returncode == 0
        if ran and (recorded := results.read(path)):
            report.save(name, command, recorded)
    return ran


if __name__ == "__main__":
    sys.exit(main())
