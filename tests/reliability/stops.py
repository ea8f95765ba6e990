"""Real imports that are stopped or killed at random, retried, and let go on.

``python -m tests.reliability.stops FIRST COUNT`` plays histories by their numbers, a dozen at once, on PostgreSQL and
SQLite: a try is stopped or killed somewhere, a second one must finish within two minutes, and what was stopped goes on
when all is done. Everything must then exist once. When exactly a process stops differs each time.

What :mod:`tests.creating.histories` plays in virtual time has no kernel, driver or event loop in it; this has.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from pihupulse_provider.sandbox import Sandbox
from tests.forking import Forks
from tests.reliability.importing import DEADLINE, Importer
from tests.servers import empty_database, postgres

_ROWS = 100
_AT_ONCE = 12
_CANDIDATES = 300


def play(forks: Forks, server: str, number: int) -> str | None:
    """Play a history, and return what is wrong in the end."""
    chance = random.Random(number)
    resource, sign = chance.choice(["candidates", "screenings"]), chance.choice([signal.SIGSTOP, signal.SIGKILL])
    with ExitStack() as stack:
        store_url = (
            stack.enter_context(empty_database(server))
            if chance.random() < 0.5
            else f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/store.db"
        )
        sandbox = stack.enter_context(Sandbox(candidates=_CANDIDATES, start_seconds=1e9))
        sandbox.fail("latency", method="POST", seconds=0.1)
        if chance.random() < 0.3:
            sandbox.fail("drop", method="POST", probability=0.1, after_commit=True)
        importer = Importer(forks, sandbox, resource, store_url, _ROWS)
        importer.arguments = ["--per-minute", "1200"]
        enough = chance.randrange(_ROWS)
        first = importer.start_until(lambda: len(_created(sandbox, resource)) >= enough)
        time.sleep(chance.random() / 10)
        first.send_signal(sign)
        try:
            printed = importer.finish()
        finally:
            first.send_signal(signal.SIGCONT)
            first.output(DEADLINE)
        created = _created(sandbox, resource)
    if f"{_ROWS} {resource} created" not in printed:
        return printed
    different = len(set(created))
    return None if len(created) == different == _ROWS else f"{len(created)} were created, {different} different ones"


def _created(sandbox: Sandbox, resource: str) -> list[str]:
    if resource == "screenings":
        return [one["candidate_id"] for one in sandbox.invitations]
    return [one["email"] for one in sandbox.candidates if one["email"].endswith("@example.org")]


def main() -> int:
    """Play as many as the command line says; return 0 if all end well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    well = 0
    with postgres(durable=False) as server, ThreadPoolExecutor(_AT_ONCE) as pool:
        forks = Forks("tests.reliability.importing")
        numbers = range(options.first, options.first + options.count)
        playing = {number: pool.submit(play, forks, server, number) for number in numbers}
        for number, end in playing.items():
            wrong = end.exception() or end.result()
            well += wrong is None
            if wrong is not None:
                print(f"{number}: {wrong!r}", flush=True)
        forks.stop()
    print(f"{well} of {options.count} ended well")
    return 0 if well == options.count else 1


if __name__ == "__main__":
    sys.exit(main())
