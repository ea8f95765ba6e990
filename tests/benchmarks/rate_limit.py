"""600 creates against the local PihuPulse, for real: ``python -m tests.benchmarks.rate_limit``.

It prints how long they took, from the first to the last, over the least time that the limit allows, and how many were
refused: for one process and for three that share a key through a SQLite store, with the limit counted as a bucket and
as a window.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from pathlib import Path

from pihupulse_provider.api import Account, AsyncClient, NewCandidate, RetryPolicy
from pihupulse_provider.api.transport import CONCURRENCY
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store.engine import open_store
from pihupulse_provider.store.limits import StoreRateLimit
from tests.benchmarks.results import record

CREATES = 600
RATE, BURST = 300, 450
LEAST = {"bucket": (CREATES - BURST) * 60 / RATE, "window": (CREATES / RATE - 1) * 60}


def main() -> None:
    """Run every case; each takes half a minute to two minutes."""
    for reading in LEAST:
        for processes in (1, 3):
            print(_case(reading, processes), flush=True)


def _case(reading: str, processes: int) -> str:
    with (
        tempfile.TemporaryDirectory(prefix="pihupulse-benchmark-") as folder,
        Sandbox(requests_per_minute=RATE, burst=BURST, limit_reading=reading) as sandbox,
    ):
        if reading == "window":
            _wait_for_a_new_minute()
        share = CREATES // processes
        jobs = [(sandbox.base_url, sandbox.api_key, folder, number, share) for number in range(processes)]
        if processes == 1:
            _create(*jobs[0])
        else:
            with multiprocessing.get_context("spawn").Pool(processes) as pool:
                pool.starmap(_create, jobs)
        accepted = [entry.at for entry in sandbox.requests if entry.status < 300]
        seconds = max(accepted) - min(accepted)
        refused = sandbox.count("POST /candidates", 429)
    case, subject = f"600 creates, the limit is a {reading}", f"{processes} process{'es' if processes > 1 else ''}"
    record(case, subject, **{"times the least": seconds / LEAST[reading], "429s": refused, "seconds": seconds})
    return (
        f"{reading:7} {processes} process(es): {len(accepted)} created in {seconds:6.2f} s, "
        f"{seconds / LEAST[reading]:.4f} of the least {LEAST[reading]:.0f} s, {refused} refused"
    )


def _wait_for_a_new_minute() -> None:
    """The least time is known only if the first window is whole; a window of the clock begins with each minute."""
    time.sleep(60 - time.time() % 60 + 0.05)


def _create(base_url: str, api_key: str, folder: str, number: int, share: int) -> None:
    account = Account(api_key, base_url)
    store = open_store(f"sqlite:///{Path(folder) / 'store.db'}")
    asyncio.run(_create_all(account, StoreRateLimit(store, account.key), number, share))


async def _create_all(account: Account, limit: StoreRateLimit, number: int, share: int) -> None:
    names = iter(range(share))

    async def send_until_none_is_left(client: AsyncClient) -> None:
        for index in names:
            email = f"candidate-{number}-{index}@example.com"
            await client.create_candidate(NewCandidate(name=f"Candidate {index}", email=email))

    async with AsyncClient(account, limit=limit, retry=RetryPolicy()) as client:
        await asyncio.gather(*(send_until_none_is_left(client) for _ in range(CONCURRENCY)))


if __name__ == "__main__":
    main()
