"""Does a test fail where a module is changed in one place? ``make mutants ARGS=waiting/request_plan``.

What no test notices is printed: a test is missing, or code that nobody needs, or the change makes no difference. So is
what takes the tests too long: a change may make them wait forever, or the machine may be busy.

Tools such as mutmut and cosmic-ray run all tests, to learn which concern a module, or start a process for each change;
here both take longer than this does altogether, and the statements in SQL stay as they are.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.mutants.changes import mutants
from tests.mutants.trial import Trial

PACKAGE = "pihupulse_provider"
_RATE_LIMIT = " ".join(f"api/test_rate_limit{one}.py" for one in ("_rules", "", "_beliefs", "_properties"))
_RESERVATIONS = "store/test_shared_reservations.py store/test_limit_outages.py store/test_far_store.py"
TESTS: Mapping[str, str] = {
    "api/rate_limit": f"{_RATE_LIMIT} {_RESERVATIONS}",
    "api/rate_limit_headers": _RATE_LIMIT,
    "store/reservations": _RESERVATIONS,
    "store/limits": f"store/test_limits.py {_RESERVATIONS}",
    "store/limit_row": "store/test_limit_row.py store/test_limits.py",
    "store/ledger": "store/test_ledger.py creating/test_create_again.py",
    "store/retention": "store/test_retention.py store/test_forgetting.py creating/test_once_screenings.py",
    "store/cursors": "store/test_cursors.py",
    "store/inbox": "store/test_inbox.py",
    "store/list_pages": "store/test_list_pages.py",
    "creating/ledger_writer": "creating",
    "creating/lookup": "creating",
    "creating/recovery": "creating",
    "creating/row_table": "creating",
    "waiting/request_plan": "waiting/test_poll_round.py",
    "waiting/poll_round": "waiting/test_poll_round.py",
}
"""The modules where a mistake loses or doubles something, and the tests that would notice."""


def try_module(module: str, tests: Sequence[str], lines: range) -> None:
    """Try all mutants of a module that change these lines, and print those that nobody notices."""
    path = f"{PACKAGE}/{module}.py"
    began_at = time.monotonic()
    trial = Trial(path, tests)
    wanted = [one for one in mutants(Path(path).read_text("utf-8"), path) if one.line in lines]
    print(f"{module}: {len(wanted)} mutants, {trial.seconds:.0f} s for the tests", flush=True)
    ends: Counter[str] = Counter()
    for one in wanted:
        end = trial.try_mutant(one.code, one.line)
        ends[end or "noticed"] += 1
        if end is not None:
            print(f"  {end}: {path}:{one.line}  {one.change}", flush=True)
    summary = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    print(f"{module}: {summary}; {time.monotonic() - began_at:.0f} s", flush=True)


def main() -> None:
    """Try the modules that the arguments name."""
    parser = argparse.ArgumentParser("make mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", default=TESTS, help="such as store/ledger; all of them if left out")
    parser.add_argument("--tests", nargs="+", help="tests/… to run, instead of those that the module is known to have")
    parser.add_argument("--lines", help="only changes of these lines, such as 40-80")
    options = parser.parse_args()
    first, last = map(int, options.lines.split("-")) if options.lines else (0, 1_000_000)
    for module in options.modules:
        try_module(module, options.tests or [f"tests/{one}" for one in TESTS[module].split()], range(first, last + 1))


if __name__ == "__main__":
    main()
