"""A whole fleet at work, and what became of it: ``make fleet``."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store.store_url import parse_store_url
from tests.demo.console import Progress, table
from tests.fleet.balancer import Balancer
from tests.fleet.faults import Faults
from tests.fleet.fleet import Fleet
from tests.fleet.report import Ended, drained, faults_and_cost, flatness, outcome
from tests.integration.airflow import AirflowError
from tests.servers import Postgres, empty_database

CHUNKS = 6
RUN_SECONDS = 1200
_BETWEEN_RUNS_SECONDS = 60
_DRAIN_SECONDS = 60
_WRONG_SECONDS = -600
"""By how much a worker's clock is wrong, when all goes wrong. Were it ahead, Airflow would count the delay of a retry
from an end in ten minutes."""


def main() -> int:
    """Run it; return 0 if nothing was lost or doubled."""
    parser = argparse.ArgumentParser("make fleet")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--screenings", type=int, default=500)
    parser.add_argument(
        "--runs", type=int, default=1, help="begin so many runs, one each minute (default: %(default)s)"
    )
    parser.add_argument("--rate", type=int, default=1000, help="requests a minute of the plan (default: %(default)s)")
    trouble = parser.add_mutually_exclusive_group()
    trouble.add_argument("--faults", action="store_true", help="let everything go wrong meanwhile, one after the other")
    trouble.add_argument("--restarts", action="store_true", help="restart each part meanwhile, as an upgrade does")
    parser.add_argument("--seed", type=int, help="puts the faults in an order of its own")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # nothing of the fleet goes on without it
    home = Path(tempfile.mkdtemp(prefix="pihupulse-fleet-"))
    with Postgres() as server, empty_database(server.url) as airflow_url, empty_database(server.url) as store_url:
        failed = _run(options, home, server, airflow_url, store_url)
    if not failed:
        shutil.rmtree(home)
    return failed


def _run(options: argparse.Namespace, home: Path, server: Postgres, airflow_url: str, store_url: str) -> int:
    progress = Progress()
    folder = home / "files"
    folders = [folder / str(number) for number in range(options.runs)]
    for own in folders:
        _write_chunks(own, options.rows)
    plan = {"requests_per_minute": options.rate, "burst": options.rate // 20}
    with Sandbox(start_seconds=1, screening_seconds=15, spread=0.8, **plan) as sandbox:
        connection = json.loads(sandbox.connection_json)
        connection["extra"] |= plan
        env = {
            "AIRFLOW_CONN_PIHUPULSE_DEFAULT": json.dumps(connection),
            "FLEET_FOLDER": str(folder),
            "FLEET_SCREENINGS": str(options.screenings),
        }
        clocks = {"worker-2": _WRONG_SECONDS} if options.faults else {}
        fleet = Fleet(home / "airflow", Path(__file__).parent / "dags", airflow_url, store_url, env, clocks)
        faults = Faults(fleet, sandbox, server, options.seed, gentle=options.restarts)
        with Balancer(fleet.receiver_ports) as balancer:
            sandbox.send_webhooks_to(f"http://127.0.0.1:{balancer.port}/pihupulse/webhooks/pihupulse_default")
            try:
                fleet.start(progress.step)
                progress.done("the fleet is up")
                with faults if options.faults or options.restarts else contextlib.nullcontext():
                    ended = _run_to_end(fleet, faults, folders, progress)
                _await_drained(fleet, folder, options.runs * options.screenings)
                connections = _store_connections(store_url)
                tasks = fleet.all_tasks()
            finally:
                fleet.stop()
        rows, good = outcome(sandbox, folder, options, ended, tasks, balancer.taken, connections, faults)
        print(table(("", "", ""), rows))
        if faults.begun:
            wrong = {
                part: f"clock {fleet.clocks[part]:+} s" if part in fleet.clocks else "no C compiler" for part in clocks
            }
            rows = [
                *((part, clock, "") for part, clock in wrong.items()),
                *faults_and_cost(sandbox, options.rate, faults),
            ]
            print(table(("after", "fault", "of the plan until the next"), rows))
        print("What each part held: the medians of the second and the last third of the time, and the most.")
        print(table(("part", "memory MB", "threads", "handles"), flatness(fleet.samples)))
    if not good:
        print(f"The logs are in {home}.")
    return 0 if good else 1


def _run_to_end(fleet: Fleet, faults: Faults, folders: Sequence[Path], progress: Progress) -> Ended:
    """Let the fleet's DAG run, once for each folder, and return how the runs ended."""
    run_ids = []
    for folder in folders:
        if run_ids:
            time.sleep(_BETWEEN_RUNS_SECONDS)
        run_ids.append(fleet.trigger("fleet", {"folder": str(folder)}))
        progress.step(f"run {len(run_ids)} of {len(folders)} began")
    until = time.monotonic() + RUN_SECONDS
    all_ended = [_run_ended(fleet, faults, run_id, until) for run_id in run_ids]
    state = ", ".join(sorted({one.state for one in all_ended}))
    progress.done(f"ended: {state}")
    return Ended(state, sum(one.cleared for one in all_ended))


def _run_ended(fleet: Fleet, faults: Faults, run_id: str, until: float) -> Ended:
    """Wait for a run; what the service refused for a revoked key begins once more when the key is valid again."""
    cleared = 0
    while True:
        try:
            state = fleet.wait_for_run("fleet", run_id, until - time.monotonic())
        except AirflowError:
            return Ended(f"not ended after {RUN_SECONDS} s", cleared)
        if state == "success" or not fleet.failed_by_key("fleet", run_id):
            return Ended(state, cleared)
        faults.key_is_valid.wait()
        cleared += fleet.clear_failed("fleet", run_id)


def _write_chunks(folder: Path, rows: int) -> None:
    folder.mkdir(parents=True)
    for chunk in range(CHUNKS):
        with (folder / f"chunk-{chunk}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("name", "email"))
            writer.writerows(
                (f"Person {row}", f"person{row}.{folder.name}@example.com") for row in range(chunk, rows, CHUNKS)
            )


def _await_drained(fleet: Fleet, folder: Path, screenings: int) -> None:
    def is_drained() -> bool:
        return len(set(drained(folder))) >= screenings and not fleet.open_runs("drain")

    with contextlib.suppress(AirflowError):  # the table tells it
        fleet.wait_until(is_drained, _DRAIN_SECONDS, "all events are read")


def _store_connections(store_url: str) -> int:
    engine = sa.create_engine(parse_store_url(store_url), poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return int(connection.execute(sa.text(query)).scalar_one())


if __name__ == "__main__":
    sys.exit(main())
