"""All benchmarks, one after the other: ``python -m tests.benchmarks [NAME ...]``."""

from __future__ import annotations

import subprocess
import sys

NAMES = ("imports", "rate_limit", "shared_limit", "import_candidates", "export", "waiting", "webhooks", "delivery")


def main() -> int:
    """Run the named benchmarks, or all; return 0 if each ran."""
    names = sys.argv[1:] or NAMES
    unknown = set(names) - set(NAMES)
    if unknown:
        print(f"There is no benchmark {', '.join(sorted(unknown))}: choose of {', '.join(NAMES)}.")
        return 2
    failed = []
    for name in names:
        print(f"\n=== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nDid not run to the end: {', '.join(failed)}.")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
