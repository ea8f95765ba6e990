"""Several tries of one job at work at once, each in a process of its own: the newest has the job."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.reliability.importing import DEADLINE, Importer

ROWS = 300
TAKEN_OVER = "JobTakenOverError"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def sandbox():
    with Sandbox(candidates=ROWS, start_seconds=1e9) as sandbox:
        sandbox.fail("latency", method="POST", seconds=0.1)
        yield sandbox


def created(sandbox, resource):
    return len(sandbox.account.candidates) - ROWS if resource == "candidates" else len(sandbox.account.screenings)


def assert_each_once(sandbox, resource, count):
    if resource == "candidates":
        made = [one["email"] for one in sandbox.candidates if one["email"].endswith("@example.org")]
        assert Counter(made) == Counter(f"person.{n}@example.org" for n in range(count))
    else:
        for made in (sandbox.screenings, sandbox.invitations):
            assert Counter(one["candidate_id"] for one in made) == Counter(f"c{12345 + n}" for n in range(count))


def await_that(is_so):
    deadline = time.monotonic() + DEADLINE
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.005)


def output_of(process):
    return process.output(DEADLINE)


@pytest.mark.parametrize("resource", ["candidates", "screenings"])
def test_three_tries_at_once_create_each_once(forks, sandbox, store_url, resource):
    """One answer in ten is lost, so that each successor has much to look for while its predecessor tells the ledger."""
    sandbox.fail("drop", method="POST", probability=0.1, after_commit=True)
    importer = Importer(forks, sandbox, resource, store_url, ROWS)
    first, second, third = (importer.ready() for _ in range(3))
    for number, process in enumerate((first, second, third)):
        await_that(lambda wanted=50 * number: created(sandbox, resource) >= wanted)
        importer.take_over(process)

    assert f"{ROWS} {resource} created" in output_of(third)
    assert third.returncode == 0
    assert TAKEN_OVER in output_of(first)
    assert TAKEN_OVER in output_of(second)
    assert_each_once(sandbox, resource, ROWS)


def stopped_at_work(importer):
    """Start a slow try, and stop its process once it has created some rows."""
    importer.arguments = ["--per-minute", "1200"]
    process = importer.start_until(lambda: created(importer.sandbox, importer.resource) >= 30)
    process.send_signal(signal.SIGSTOP)
    return process


@pytest.mark.parametrize("resource", ["candidates", "screenings"])
def test_a_try_that_goes_on_while_its_successor_runs_sends_nothing_more(forks, sandbox, store_url, resource):
    """It was stopped for longer than its marks hold; what it had in flight by then, the successor looks for."""
    count = 150
    importer = Importer(forks, sandbox, resource, store_url, count)
    stopped = stopped_at_work(importer)
    try:
        successor = importer.start()
        await_that(lambda: created(sandbox, resource) >= 90)
    finally:
        stopped.send_signal(signal.SIGCONT)

    assert TAKEN_OVER in output_of(stopped)
    assert successor.poll() is None, "it was over before"
    assert f"{count} {resource} created" in output_of(successor)
    assert_each_once(sandbox, resource, count)


@pytest.mark.parametrize("resource", ["candidates", "screenings"])
def test_a_try_that_was_stopped_and_goes_on_sends_nothing_more(forks, sandbox, store_url, resource):
    """It has marked rows, and some of them wait for their turn under the limit, when its worker stops for a while."""
    count = 100
    importer = Importer(forks, sandbox, resource, store_url, count)
    stopped = stopped_at_work(importer)
    try:
        assert f"{count} {resource} created" in importer.finish()
        posts = sandbox.count("POST /candidates" if resource == "candidates" else "POST /screenings")
    finally:
        stopped.send_signal(signal.SIGCONT)

    assert TAKEN_OVER in output_of(stopped)
    assert stopped.returncode != 0
    assert sandbox.count("POST /candidates" if resource == "candidates" else "POST /screenings") == posts
    assert_each_once(sandbox, resource, count)


@pytest.mark.parametrize("resource", ["candidates", "screenings"])
def test_a_try_that_was_stopped_just_before_it_sends_sends_nothing_more(forks, sandbox, store_url, resource):
    """It has looked whether it has the job, and is stopped before the system has got the row."""
    count = 100
    importer = Importer(forks, sandbox, resource, store_url, count)
    stopped = importer.start("--stop", "as-it-sends")
    await_that(lambda: is_stopped(stopped))
    try:
        assert f"{count} {resource} created" in importer.finish()
    finally:
        stopped.send_signal(signal.SIGCONT)

    assert TAKEN_OVER in output_of(stopped)
    assert_each_once(sandbox, resource, count)


@pytest.mark.parametrize("stop", ["in-transaction", "as-it-begins"])
def test_a_try_that_was_stopped_while_nobody_else_could_use_the_store_sends_nothing_more(
    forks, sandbox, tmp_path, stop
):
    """SQLite's lock can't be taken from it, so its successor goes on without the store."""
    count = 200
    importer = Importer(forks, sandbox, "candidates", f"sqlite:///{tmp_path}/store.db", count)
    importer.arguments = ["--lock-seconds", "2"]
    stopped = importer.start("--stop", stop)
    await_that(lambda: is_stopped(stopped))
    try:
        assert f"{count} candidates created" in importer.finish()
    finally:
        stopped.send_signal(signal.SIGCONT)

    assert "may have gone on without the store" in output_of(stopped)
    assert stopped.returncode != 0
    assert_each_once(sandbox, "candidates", count)


def is_stopped(process):
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
