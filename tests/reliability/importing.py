"""An import in a process of its own, to be killed."""

from __future__ import annotations

import argparse
import logging
import resource
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module

import sqlalchemy as sa

from pihupulse_provider.api import Account, AsyncClient, Plan, network
from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.create_run import CreateRun
from pihupulse_provider.creating.options import CreateOptions
from pihupulse_provider.creating.readers import Row, Source
from pihupulse_provider.creating.resources import CandidateResource, ScreeningResource
from pihupulse_provider.store import sqlite
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.ledger import Ledger, jobs_table
from tests.forking import Forks

JOB = "dag/run/import/-1"
TIMEOUT = 1.0
DEADLINE = 120.0


def candidates(count):
    values = ({"name": f"Person {n}", "email": f"person.{n}@example.org"} for n in range(count))
    return Source(Row(number, one) for number, one in enumerate(values, 1)), CandidateResource(CandidateInput())


def screenings(count):
    rows = (Row(n + 1, {"candidate_id": f"c{12345 + n}"}) for n in range(count))
    return Source(rows), ScreeningResource("t54321", "Engineer", send_invitation=True)


RESOURCES = {"candidates": candidates, "screenings": screenings}


def account(base_url, api_key="pp_sandbox", plan=None):
    return Account(api_key, base_url, timeout=TIMEOUT, plan=plan)


class Importer:
    """Starts the import again and again."""

    def __init__(self, forks: Forks, sandbox, resource, store_url, count):
        self.forks = forks
        self.sandbox = sandbox
        self.resource = resource
        self.store_url = store_url
        self.count = count
        self.arguments = []
        self.since = time.time()
        self.starts = 0

    def start(self, *options):
        arguments = ["--base-url", self.sandbox.base_url, "--store-url", self.store_url]
        arguments += ["--resource", self.resource, "--count", str(self.count)]
        arguments += ["--since", str(self.since), *(["--retry"] if self.starts else [])]
        self.starts += 1
        return self.forks.start(*arguments, *self.arguments, *options)

    def start_until(self, is_time):
        process = self.start()
        deadline = time.monotonic() + DEADLINE
        while not is_time() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        return process

    def ready(self):
        """Start one that has loaded everything, and waits to be released."""
        process = self.start("--wait")
        process.stdout.readline()
        return process

    def take_over(self, process):
        """Release it, and wait until it has the job."""
        before = self.owner()
        process.stdin.write(b"go\n")
        deadline = time.monotonic() + DEADLINE
        while self.owner() == before and time.monotonic() < deadline:
            time.sleep(0.01)

    def owner(self):
        store = Store(self.store_url)
        with store.read() as connection:
            query = sa.select(jobs_table.c.owner).where(jobs_table.c.account == account(self.sandbox.base_url).key)
            owner = connection.execute(query).scalar()
        store.dispose()
        return owner

    def kill_when(self, is_time):
        process = self.start_until(is_time)
        process.kill()
        process.output(DEADLINE)

    def finish(self, *options):
        process = self.start(*options)
        output = process.output(DEADLINE)
        assert process.returncode == 0, output
        return output


def stop_here():
    """Stop this process where this is called: a signal to all its threads lets this one go on a little."""
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


class StoppedInTransaction(Ledger):
    """Stops its process in the transaction with which it marks rows for the second time."""

    turns = 0
    thread = None

    def mark(self, *arguments):
        self.turns += 1
        self.thread = threading.get_ident()
        return super().mark(*arguments)

    def skew(self, connection):
        self.stop_once()
        return super().skew(connection)

    def stop_once(self):
        if self.turns == 2 and self.thread == threading.get_ident():  # others use the store meanwhile
            self.turns += 1
            stop_here()


class StoppedAsItBegins(StoppedInTransaction):
    """Stops its process when the store's lock is got for that transaction, and nobody in the process knows yet."""

    def __init__(self, store, account):
        super().__init__(store, account)
        sa.event.listen(store._engine, "begin", self.stop_if_locked)

    def stop_if_locked(self, connection):
        if not connection.get_execution_options().get("pihupulse_read"):  # a look at the schema may come first
            self.stop_once()


class StoppedAsItSends(Ledger):
    """Stops its process after the last look at whether it has the job, and before the system gets a row to send."""

    def __init__(self, store, account):
        super().__init__(store, account)
        rows = 0
        write = network._AsyncStream.write

        async def write_later(stream, buffer, timeout=None):
            nonlocal rows
            rows += buffer.startswith(b"{")
            if rows == 40 and buffer.startswith(b"{"):
                stop_here()
            await write(stream, buffer, timeout)

        network._AsyncStream.write = write_later


LEDGERS = {
    "never": Ledger,
    "in-transaction": StoppedInTransaction,
    "as-it-begins": StoppedAsItBegins,
    "as-it-sends": StoppedAsItSends,
}


def load():
    """Load what is loaded when it is needed."""
    for name in ("alembic.migration", "alembic.operations", "alembic.script", "psycopg2"):
        with suppress(ImportError):
            import_module(name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--store-url", required=True)
    parser.add_argument("--resource", choices=RESOURCES, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--retry", action="store_true")
    parser.add_argument("--per-minute", type=int)
    parser.add_argument("--wait", action="store_true")
    parser.add_argument("--stop", choices=LEDGERS, default="never")
    parser.add_argument("--lock-seconds", type=float, default=sqlite._LOCK_SECONDS)
    parser.add_argument("--largest-file", type=int, help="bytes beyond which the kernel lets no file grow")
    parser.add_argument("--since", type=float, required=True)
    arguments = parser.parse_args()
    if arguments.largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (arguments.largest_file, arguments.largest_file))
    logging.basicConfig(level="INFO")
    logging.getLogger("httpx").setLevel("WARNING")
    service = account(arguments.base_url, plan=Plan(arguments.per_minute, 5) if arguments.per_minute else None)
    source, created = RESOURCES[arguments.resource](arguments.count)
    since = datetime.fromtimestamp(arguments.since, UTC)
    options = CreateOptions(JOB, not arguments.retry, since, on_existing="create")
    sqlite._LOCK_SECONDS = arguments.lock_seconds
    ledger = LEDGERS[arguments.stop](Store(arguments.store_url), service)
    if arguments.wait:
        print("ready", flush=True)
        sys.stdin.readline()
    summary = CreateRun(created, options, ledger, lambda: AsyncClient(service)).run(source)
    print(summary.sentence(created.noun))
