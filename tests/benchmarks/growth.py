"""How cost grows with rows, waits and events: ``python -m tests.benchmarks.growth [--rows 1000000 …]``.

Each of the three goes through sizes up to the largest that is given, beside the way that comes to mind first: all rows
in memory, a request for each wait, a scan of all events.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pihupulse_provider.api import Account, Client
from pihupulse_provider.api.events import WebhookEvent
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.inbox import Delivery, EventFilter, Inbox
from pihupulse_provider.waiting.poll_round import PollRound, run_round
from pihupulse_provider.waiting.request_plan import ListPositions
from tests.benchmarks.export import _peak_memory
from tests.benchmarks.import_candidates import _plan_only
from tests.benchmarks.results import record

OURS = "this provider"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--waits", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    options = parser.parse_args()
    rows(options.rows)
    waits(options.waits)
    events(options.events)


def rows(most: int) -> None:
    """Check the rows of a CSV file and keep them for an import."""
    for count in _sizes(1000, most):
        with _people(count) as path:
            for subject, work in ((OURS, _plan_only), ("all rows in a list", _list_of_rows)):
                _found, seconds, megabytes = _elsewhere(work, path)
                _show("Rows of a source", subject, count, MB_of_memory=megabytes, seconds=seconds)


def waits(most: int) -> None:
    """Poll once for screenings that were seen before, in an account that has twice as many."""
    for count in _sizes(10, most):
        sandbox = Sandbox(candidates=2 * count, start_seconds=1e9, screening_seconds=1e9)
        ids = sandbox.insert_screenings([candidate["id"] for candidate in sandbox.candidates])[:count]
        with Client(Account(sandbox.api_key, sandbox.base_url), transport=sandbox.transport()) as client:
            positions = ListPositions()
            run_round(client, PollRound(dict.fromkeys(ids), positions))
            before, began = sandbox.count(), time.process_time()
            run_round(client, PollRound(dict.fromkeys(ids), positions))
            cost = {"requests": sandbox.count() - before, "CPU_seconds": time.process_time() - began}
        _show("Screenings that are waited for", OURS, count, **cost)
        _show("Screenings that are waited for", "a request for each", count, requests=count)


def events(most: int) -> None:
    """Look up the events of a candidate and of a template, and read from a cursor, in an inbox of so many events."""
    with tempfile.TemporaryDirectory() as folder:
        inbox = Inbox(Store(f"sqlite:///{folder}/store.db"))
        there = 0
        for count in _sizes(1000, most):
            for first in range(there, count, 1000):
                inbox.append([_delivery(number) for number in range(first, min(count, first + 1000))])
            there = count
            found = _milliseconds(lambda: inbox.read(EventFilter(candidate_id="c7")))
            rare = _milliseconds(lambda: inbox.read(EventFilter(template_id="t7")))
            newest = _milliseconds(lambda last=count: inbox.read(EventFilter(), after=last - 10))
            times = {"ms_for_a_candidate": found, "ms_for_a_template": rare, "ms_from_a_cursor": newest}
            _show("Events in the inbox", OURS, count, **times)
            scan = _milliseconds(lambda: _scan(inbox.store))
            _show("Events in the inbox", "a scan of all", count, ms_for_a_candidate=scan)


def _show(case: str, subject: str, size: int, **figures: float) -> None:
    shown = "  ".join(f"{name.replace('_', ' ')} {value:,.2f}" for name, value in figures.items())
    print(f"{case:32}{size:>10,}  {subject:28}{shown}", flush=True)
    record(case, subject, size, **figures)


def _sizes(first: int, most: int) -> Iterator[int]:
    while first <= most:
        yield first
        first *= 10


@contextmanager
def _people(count: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        with path.open("w") as file:
            file.write("name,email,phone\n")
            file.writelines(f"Person {n},p.{n}@example.com,+1555{n:07d}\n" for n in range(count))
        yield path


def _elsewhere(work: Any, path: Path) -> tuple[int, float, float]:
    """Return what a process of its own measured, so that its memory is its own."""
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    process = context.Process(target=work, args=(result, path))
    process.start()
    measured: tuple[int, float, float] = result.get(timeout=600)
    process.join()
    return measured


def _list_of_rows(result: Any, path: Path) -> None:
    began = time.perf_counter()
    with path.open() as file:
        found = {row["email"]: row for row in csv.DictReader(file)}
    result.put((len(found), time.perf_counter() - began, _peak_memory()))


def _delivery(number: int) -> Delivery:
    candidate, template = (f"c{number}", "t54321") if number > 20 else ("c7", "t7")
    data = {"screening_id": f"s{number}", "candidate_id": candidate, "template_id": template}
    body = json.dumps({"event": "screening.completed", "created_at": "2026-01-20T15:45:00Z", "data": data}).encode()
    return Delivery("pihupulse_default", WebhookEvent.parse(body), body)


def _scan(store: Store) -> int:
    with store.read() as connection:
        query = "SELECT count(*) FROM pihupulse_events WHERE candidate_id || '' = 'c7'"
        return int(connection.exec_driver_sql(query).scalar_one())


def _milliseconds(work: Any) -> float:
    times = []
    for _ in range(9):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1000 * sorted(times)[len(times) // 2]


if __name__ == "__main__":
    main()
