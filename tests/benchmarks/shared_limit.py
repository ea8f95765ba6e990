"""Processes that share one account's limit through PostgreSQL: ``python -m tests.benchmarks.shared_limit``.

Each process runs 16 senders of the real client, on a real PostgreSQL behind a proxy that adds a distance. The service
is a token bucket in shared memory that takes 50 ms and sends the documented headers, so that it is no bottleneck. Once
the burst is gone, or a minute has passed, it prints which share of the plan was used, how many requests were refused in
all, and how many transactions on the limit a request took. Few cores are full with clients before a large plan is used
up: there, or with ``--no-client``, the senders take slots and observe headers as the client does, and send nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import multiprocessing
import time
from contextlib import contextmanager, suppress
from email.utils import formatdate

import httpx

from pihupulse_provider.api import Account, AsyncClient, NewCandidate, Plan
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders
from pihupulse_provider.api.transport import CONCURRENCY
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.limits import StoreRateLimit
from tests.benchmarks.results import record
from tests.servers import free_port, postgres

WARM_SECONDS, LONGEST_WARM_SECONDS, SECONDS = 12.0, 60.0, 20.0
RESPONSE_SECONDS = 0.05
CREATED = {"data": {"id": "c1", "name": "A", "email": "a@example.com"}}
RATES = {1000: (1, 10, 50), 60_000: (50,)}
DISTANCES = (0, 10, 20)
LARGE_PLAN = 10_000


class Bucket:
    """The service's limit, shared by all processes: tokens, when they were counted, accepted, refused."""

    def __init__(self, context, plan):
        self.plan = plan
        self.state = context.Array("d", [plan.burst, time.time(), 0, 0])

    def handle(self):
        with self.state.get_lock():
            now = time.time()
            tokens = min(self.plan.burst, self.state[0] + (now - self.state[1]) / self.plan.interval)
            admitted = tokens >= 1
            self.state[:2] = [tokens - admitted, now]
            self.state[2 if admitted else 3] += 1
            return admitted, int(self.state[0])

    def has_burst(self):
        return self.state[0] > self.plan.burst / 5

    def counted(self):
        return int(self.state[2]), int(self.state[3])


class Service(httpx.AsyncBaseTransport):
    """The service as a client's process sees it."""

    def __init__(self, bucket):
        self.bucket = bucket

    async def handle_async_request(self, request):
        admitted, remaining = self.bucket.handle()
        await asyncio.sleep(RESPONSE_SECONDS)
        headers = {
            "Date": formatdate(usegmt=True),
            "X-RateLimit-Limit": str(self.bucket.plan.requests_per_minute),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": str(math.ceil(time.time() + self.bucket.plan.interval)),
        }
        return httpx.Response(201 if admitted else 429, json=CREATED, headers=headers)


class CountingStore(Store):
    """Counts its transactions, by another process's leave."""

    def __init__(self, url, transactions):
        super().__init__(url)
        self.transactions = transactions

    def begin(self, *, durable=True):
        self._count()
        return super().begin(durable=durable)

    def messages(self):
        self._count()
        return super().messages()

    def _count(self):
        with self.transactions.get_lock():
            self.transactions.value += 1


def _work(send, bucket, store_url, transactions, start, ends):
    asyncio.run(send(bucket, CountingStore(store_url, transactions), start, ends))


async def _take_slots(bucket, store, start, ends):
    limit = StoreRateLimit(store, Account("key", "https://one.example").key, bucket.plan)

    async def take_on():
        while time.time() < ends.value:
            slot = await asyncio.to_thread(limit.reserve)
            await asyncio.sleep(max(0.0, slot.at - limit.now()))
            if not slot.taken or limit.is_void(slot):
                continue
            sent_at = limit.now()
            admitted, remaining = bucket.handle()
            await asyncio.sleep(RESPONSE_SECONDS)
            advertised = {"limit": bucket.plan.requests_per_minute, "remaining": remaining, "resets_in": 1.0}
            headers = RateLimitHeaders(sent_at, limit.now(), limited=not admitted, **advertised)
            await asyncio.to_thread(limit.observe, slot, headers)

    start.wait()
    await asyncio.gather(*(take_on() for _ in range(CONCURRENCY)))


async def _send(bucket, store, start, ends):
    account = Account("key", "https://one.example")
    limit = StoreRateLimit(store, account.key, bucket.plan)

    async def send_on():
        while time.time() < ends.value:
            await client.create_candidate(NewCandidate(name="A", email="a@example.com"))

    async with AsyncClient(account, limit=limit, transport=Service(bucket)) as client:
        start.wait()
        await asyncio.gather(*(send_on() for _ in range(CONCURRENCY)))


def measure(rate, processes, distance, send=_send, seconds=SECONDS):
    """Return a line of the table for so many processes and milliseconds to the store and back."""
    context = multiprocessing.get_context("forkserver")
    bucket = Bucket(context, Plan(rate, rate / 10))
    transactions, ends, start = context.Value("i", 0), context.Value("d", 0), context.Barrier(processes + 1)
    with postgres() as url, distant(url, distance / 1000) as store_url:
        arguments = (send, bucket, store_url, transactions, start, ends)
        workers = [context.Process(target=_work, args=arguments, daemon=True) for _ in range(processes)]
        for worker in workers:
            worker.start()
        ends.value = math.inf
        start.wait()
        time.sleep(WARM_SECONDS)
        longest = time.monotonic() + LONGEST_WARM_SECONDS - WARM_SECONDS
        while bucket.has_burst() and time.monotonic() < longest:
            time.sleep(0.1)
        before, begun = (*bucket.counted(), transactions.value), time.time()
        time.sleep(seconds)
        after, lasted = (*bucket.counted(), transactions.value), time.time() - begun
        ends.value = 0.0
        for worker in workers:
            worker.kill()
            worker.join()
    accepted = after[0] - before[0]
    share = accepted / (lasted * rate / 60)
    used = (after[2] - before[2]) / max(1, accepted)
    case = f"Processes that share {rate:,} requests a minute{'' if send is _send else ', without a client'}"
    figures = {"transactions a request": used, "share of the plan": share, "429s": after[1]}
    record(case, f"{distance} ms to the store", processes, **figures)
    return f"{rate:11,}{processes:11}{distance:10}{share:12.1%}{after[1]:8}{used:16.2f}"


@contextmanager
def distant(url, seconds):
    """Run a proxy before a server that adds so many seconds there and back, and yield the URL that goes there."""
    if not seconds:
        yield url
        return
    port, before, after = free_port(), *url.rsplit(":", 1)
    server_port = int(after.split("/")[0])
    process = multiprocessing.get_context("forkserver").Process(
        target=_run_proxy, args=(port, server_port, seconds / 2), daemon=True
    )
    process.start()
    time.sleep(1)
    yield f"{before}:{port}/{after.split('/')[1]}"
    process.kill()
    process.join()


def _run_proxy(port, server_port, one_way):
    asyncio.run(_proxy(port, server_port, one_way))


async def _proxy(port, server_port, one_way):
    async def serve(reader, writer):
        to_server = await asyncio.open_connection("127.0.0.1", server_port)
        await asyncio.gather(_carry(reader, to_server[1], one_way), _carry(to_server[0], writer, one_way))

    async with await asyncio.start_server(serve, "127.0.0.1", port, backlog=500) as server:
        await server.serve_forever()


async def _carry(reader, writer, one_way):
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            loop.call_later(one_way, writer.write, data)
    loop.call_later(one_way, writer.close)


def main():
    """Measure every case, or the ones asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, help="requests a minute")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--distance", type=int, help="milliseconds to PostgreSQL and back")
    parser.add_argument("--no-client", action="store_true")
    given = parser.parse_args()
    asked = (given.rate, given.processes, given.distance)
    print(f"{'a minute':>11}{'processes':>11}{'distance':>10}{'of plan':>12}{'429':>8}{'transactions':>16}")
    cases = [(rate, count, distance) for rate in RATES for count in RATES[rate] for distance in DISTANCES]
    for case in cases:
        if all(value in (None, ours) for value, ours in zip(asked, case, strict=True)):
            send = _take_slots if given.no_client or case[0] > LARGE_PLAN else _send
            print(measure(*case, send), flush=True)


if __name__ == "__main__":
    main()
