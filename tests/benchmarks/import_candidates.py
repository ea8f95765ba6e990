"""Importing candidates under a plan's limit, and with lost responses: ``python -m tests.benchmarks.import_candidates``.

Beside what people use today. The least possible time is that of the rows beyond the burst at the plan's rate.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

from pihupulse_provider.api import Account, AsyncClient
from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.create_run import CreateRun
from pihupulse_provider.creating.options import CreateOptions
from pihupulse_provider.creating.readers import FileFormat, read_records
from pihupulse_provider.creating.resources import CandidateResource
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.ledger import Ledger
from pihupulse_provider.store.limits import shared_rate_limit
from tests.benchmarks.results import record
from tests.benchmarks.rivals import installed, quietly
from tests.benchmarks.service import API_KEY, running

PLANS = {"starter": (100, 150), "professional": (300, 450), "enterprise": (1000, 1500)}


def people(count, prefix="p"):
    return [{"name": f"Person {n}", "email": f"{prefix}.{n}@example.com"} for n in range(count)]


def ours(base_url, rows, *, job="bench", store_url=None):
    account = Account(API_KEY, base_url)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(store_url or f"sqlite:///{folder}/store.db")
        limit = shared_rate_limit(store, account.key)
        options = CreateOptions(job, first_try=True, on_existing="create")
        bulk = CreateRun(
            CandidateResource(CandidateInput()),
            options,
            Ledger(store, account),
            lambda: AsyncClient(account, limit=limit),
        )
        return bulk.run(read_records(rows))


def _between(result, *args, **kwargs):
    began = time.time()
    with quietly():
        ours(*args, **kwargs)
    result.put((began, time.time()))


def timed(work, *args):
    began = time.perf_counter()
    with quietly():
        work(*args)
    return time.perf_counter() - began


def report(case, name, seconds, least, service, expected):
    refused, found = service.refused(), service.emails()
    lost = sum(1 for email in expected if not found[email])
    doubled = sum(found[email] - 1 for email in expected if found[email] > 1)
    ratio = f"{seconds / least:.3f}" if least else "-"
    print(f"{name:38}{seconds:9.2f}{ratio:>12}{refused:8}{lost:7}{doubled:9}", flush=True)
    figures = {"429s": refused, "lost": lost, "doubled": doubled, "seconds": seconds}
    record(case, name, **({"times the least": seconds / least} if least else {}), **figures)


def header(title):
    """Print a title and the columns; return the title, which names the case."""
    print(f"\n{title}\n{'':38}{'seconds':>9}{'of least':>12}{'429':>8}{'lost':>7}{'doubled':>9}")
    return title


def under_a_limit(plan, count, processes):
    rate, burst = PLANS[plan]
    least = max(0, count - burst) * 60 / rate
    case = header(f"{count} rows, plan {plan}, {processes} process(es), least {least:.1f} s")
    with running("--plan", plan) as service, tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        share = count // processes
        options = {"store_url": f"sqlite:///{folder}/store.db"}
        result = context.Queue()
        workers = [
            context.Process(
                target=_between,
                args=(result, service.base_url, people(share, f"p{n}")),
                kwargs={**options, "job": f"bench {n}"},
            )
            for n in range(processes)
        ]
        for worker in workers:
            worker.start()
        spans = [result.get() for _ in workers]
        for worker in workers:
            worker.join()
        seconds = max(ended for _, ended in spans) - min(began for began, _ in spans)
        expected = [row["email"] for n in range(processes) for row in people(share, f"p{n}")]
        report(case, "this provider", seconds, least, service, expected)
    if processes == 1:
        for name, (rival, _) in installed().items():
            with running("--plan", plan) as service:
                rows = people(count)
                report(case, name, timed(rival, service.base_url, rows), least, service, [row["email"] for row in rows])


def with_lost_responses(count):
    case = header(f"{count} rows, no limit, one response in ten lost after the commit")
    rows = people(count)
    expected = [row["email"] for row in rows]
    for name, work in {"this provider": ours, **{name: rival for name, (rival, _) in installed().items()}}.items():
        with running("--plan", "unlimited") as service:
            service.add_fault(kind="drop", method="POST", probability=0.1, after_commit=True)
            seconds = timed(work, service.base_url, rows)
            service.clear_faults()
            report(case, name, seconds, 0, service, expected)


def throughput(count):
    case = header(f"{count} rows, no limit")
    rows = people(count)
    with running("--plan", "unlimited") as service:
        seconds = timed(ours, service.base_url, rows)
        report(
            case,
            f"this provider, {count / seconds:,.0f} rows a second",
            seconds,
            0,
            service,
            [r["email"] for r in rows],
        )


def _plan_only(result, path):
    from pihupulse_provider.creating.create_run import Loader
    from pihupulse_provider.creating.row_table import RowTable
    from tests.benchmarks.export import _peak_memory

    ledger = Ledger(Store("sqlite://"), Account(API_KEY))
    began = time.perf_counter()
    with RowTable() as plan, path.open("rb") as file, FileFormat().reading(path.name, file) as source:
        Loader(plan, CandidateResource(CandidateInput()), ledger.digest).load(source)
        result.put((plan.count(), time.perf_counter() - began, _peak_memory()))


def planning(counts):
    print(f"\nChecking and planning a CSV file\n{'rows':>12}{'seconds':>10}{'peak MB':>10}")
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            path = Path(folder) / "people.csv"
            with path.open("w") as file:
                file.write("name,email,phone,resume_url\n")
                file.writelines(
                    f"Person {n},p.{n}@example.com,+1555{n:07d},https://example.com/cv/{n}.pdf\n" for n in range(count)
                )
            result = context.Queue()
            worker = context.Process(target=_plan_only, args=(result, path))
            worker.start()
            rows, seconds, megabytes = result.get()
            worker.join()
            print(f"{rows:12,}{seconds:10.1f}{megabytes:10.0f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", choices=PLANS, default="professional")
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--million", action="store_true", help="also plan a million rows")
    arguments = parser.parse_args()
    throughput(3000)
    with_lost_responses(140)
    under_a_limit(arguments.plan, arguments.rows, 1)
    under_a_limit(arguments.plan, arguments.rows, 3)
    planning([1_000, 100_000, *([1_000_000] if arguments.million else [])])


if __name__ == "__main__":
    main()
