"""The receiver under faults made for real: kill -9, a database that stops, forgers, a rotation."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.inbox import EventFilter, Inbox
from pihupulse_provider.webhooks import SIGNATURE_HEADER
from tests.reliability.receivers import Connection, ReceiverProcess, Sender, receiver
from tests.servers import Postgres
from tests.webhooks.deliveries import completed, deliver, signed
from tests.webhooks.running import CONNECTION, SECRET

FORGED = int(os.environ.get("FORGED_DELIVERIES", "2000"))


def stored(url: str) -> Counter[str]:
    """Return how often each screening is in the inbox."""
    store = Store(url)
    try:
        events = Inbox(store).read_all(EventFilter()).events
    finally:
        store.dispose()
    return Counter(str(entry.event.screening_id) for entry in events)


@pytest.fixture
def changing(process: ReceiverProcess) -> Iterator[ReceiverProcess]:
    """A receiver whose secrets a test changes; the next test finds it with those of the beginning."""
    yield process
    process.set_secrets(SECRET)
    deadline = time.monotonic() + 180
    while deliver(process.url, completed("as before")).status_code not in {200, 202} and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url = request.getfixturevalue("postgres_url")
    store = Store(url)
    with store.begin() as connection:
        connection.exec_driver_sql("TRUNCATE pihupulse_events, pihupulse_inbox")
    store.dispose()
    return str(url)


@pytest.mark.parametrize(("store_url", "workers"), [("sqlite", 1), ("postgresql", 2)], indirect=["store_url"])
async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, store_url: str, workers: int):
    with receiver(tmp_path, store_url, workers) as process:
        sender, done = Sender(process.url), asyncio.Event()
        sending = asyncio.create_task(sender.send(16, done))
        while len(sender.acknowledged) < 300:
            await asyncio.sleep(0.05)
        process.kill()
        await asyncio.to_thread(process.start)
        done.set()
        await sending
    inbox = stored(store_url)
    assert set(inbox) >= set(sender.acknowledged)
    assert set(inbox.values()) == {1}


async def test_one_that_is_asked_to_stop_answers_what_it_has_begun_and_takes_no_more(tmp_path: Path):
    """A balancer then sends to another receiver, and what was cut off was not acknowledged."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with receiver(tmp_path, url) as process:
        sender, done = Sender(process.url), asyncio.Event()
        sending = asyncio.create_task(sender.send(16, done))
        while len(sender.acknowledged) < 100:
            await asyncio.sleep(0.01)
        async with Connection(process.url) as connection:
            body = completed("under way")
            await connection.begin(body, signed(body))
            stopping = asyncio.create_task(asyncio.to_thread(process.stop))
            while process.answers():
                await asyncio.sleep(0.01)
            assert not stopping.done()
            assert await connection.finish(body) == "202"
        await stopping
        done.set()
        await sending
    inbox = stored(url)
    assert set(inbox) >= {*sender.acknowledged, "under way"}
    assert set(inbox.values()) == {1}
    assert {one for one in sender.statuses if isinstance(one, int)} == {202}


async def test_a_rotation_loses_no_delivery(changing: ReceiverProcess):
    before = stored(changing.store_url)
    sender, done = Sender(changing.url, "rotated "), asyncio.Event()
    sending = asyncio.create_task(sender.send(4, done))
    for number in range(3):
        await asyncio.sleep(1.2)  # more than a second, so that each is read before it is taken out
        previous, secret = sender.secret, f"secret number {number}"
        changing.set_secrets(secret, previous)
        sender.secret = secret
    await asyncio.sleep(0.5)
    done.set()
    await sending
    assert set(sender.statuses) == {202}
    assert set(stored(changing.store_url) - before) == set(sender.acknowledged)


async def test_forgers_leave_no_trace_and_do_not_shut_out_the_sender(process: ReceiverProcess):
    before = stored(process.store_url)
    await _forge(process.url, 500)
    log, memory = process.log.stat().st_size, process.memory()
    sender, done = Sender(process.url, "true "), asyncio.Event()
    sending = asyncio.create_task(sender.send(2, done))
    statuses = await _forge(process.url, FORGED)
    done.set()
    await sending
    assert statuses == {"401": FORGED}
    assert set(sender.statuses) == {202}
    assert len(sender.acknowledged) > 5
    assert process.log.stat().st_size - log < 2000
    assert process.memory() - memory < 30 * 2**20
    assert set(stored(process.store_url) - before) == set(sender.acknowledged)


async def _forge(url: str, count: int) -> Counter[str]:
    """Deliver what PihuPulse never would: unsigned, malformed, signed by another secret, too large."""
    statuses: Counter[str] = Counter()
    numbers = iter(range(count))

    async def forge() -> None:
        for number in numbers:
            body = completed(f"forged-{number}")
            headers = [
                {},
                {SIGNATURE_HEADER: "0" * 63},
                {SIGNATURE_HEADER: secrets.token_hex(32)},
                {SIGNATURE_HEADER: "\xe9" * 64},
            ][number % 4]
            async with Connection(url) as connection:
                statuses[await connection.post(body, headers)] += 1

    await asyncio.gather(*(forge() for _ in range(500)))
    return statuses


def test_a_database_that_stops_and_starts_again(tmp_path: Path):
    with Postgres() as database, receiver(tmp_path, database.url) as process:
        assert deliver(process.url, completed("s1")).status_code == 202
        database.stop()
        answer = httpx.post(process.url, content=completed("s2"), headers=signed(completed("s2")), timeout=30)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        time.sleep(1.1)
        assert not process.is_healthy()
        database.start()
        assert deliver(process.url, completed("s2")).status_code == 202
        assert deliver(process.url, completed("s1")).status_code == 200
        assert set(stored(database.url)) == {"s1", "s2"}
        assert SECRET not in process.log.read_text()


@pytest.mark.parametrize("remove", [ReceiverProcess.remove_secrets, ReceiverProcess.remove_connection])
def test_a_secret_that_is_gone_stops_working_once_the_connection_was_read(
    changing: ReceiverProcess, remove: Callable[[ReceiverProcess], None]
):
    first, second, third = (completed(f"{remove.__name__} {number}") for number in range(3))
    logged = len(changing.log.read_text())
    assert deliver(changing.url, first).status_code == 202
    remove(changing)
    time.sleep(1.1)
    assert deliver(changing.url, second, "a forger's secret").status_code == 503  # has it read again
    assert deliver(changing.url, third).status_code == 503
    assert not changing.is_healthy()
    changing.set_secrets(SECRET)
    assert deliver(changing.url, third).status_code == 202
    assert CONNECTION in changing.log.read_text()[logged:]
