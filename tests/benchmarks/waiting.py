"""What waiting costs, beside a poller of its own for each wait: ``python -m tests.benchmarks.waiting``.

Against a local PihuPulse in a process of its own, one after the other:

- 1,000 deferred waits of one screening each, in one event loop;
- one deferred wait for 10,000 screenings;
- 1,000 tasks that each ask for their screening's candidate, as sensors without a poller do;
- 2,000 waits on the Starter plan while an import runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from pihupulse_provider.api import clock
from tests.benchmarks.results import record
from tests.benchmarks.service import API_KEY, Service, running

INTERVAL = 10.0


class Server(Service):
    """A local PihuPulse in a process of its own, steered from outside."""

    def screenings(self, count: int) -> list[str]:
        candidates = self._control.post("/candidates", json={"count": count}).json()["ids"]
        ids: list[str] = self._control.post("/screenings", json={"candidate_ids": candidates}).json()["ids"]
        return ids

    def complete(self, screening_id: str) -> None:
        self._control.patch(f"/screenings/{screening_id}", json={"status": "completed", "score": 80})

    def requests(self) -> dict[str, Any]:
        counters: dict[str, Any] = self._control.get("/counters").json()
        return counters


@contextmanager
def server(plan: str = "unlimited") -> Iterator[Server]:
    with running("--plan", plan, "--start-seconds", "1e9", "--screening-seconds", "1e9") as service:
        connection = {"conn_type": "pihupulse", "host": service.base_url, "password": API_KEY}
        os.environ["AIRFLOW_CONN_PIHUPULSE_DEFAULT"] = json.dumps(connection)
        yield Server(int(httpx.URL(service.base_url).port or 0))


@dataclass
class Costs:
    """What a stretch of waiting cost this process."""

    waits: int
    seconds: float = 0.0
    cpu: float = 0.0
    kilobytes: float = 0.0
    lags: list[float] = field(default_factory=list)
    requests: int = 0
    delays: list[float] = field(default_factory=list)

    def show(self, name: str) -> None:
        """Print a line of the table, and keep it for the page."""
        requests = self.requests * INTERVAL / self.seconds
        share, kilobytes = 100 * self.cpu / self.seconds, self.kilobytes / self.waits
        lags = [1000 * lag for lag in sorted(self.lags)]
        p99, delay, longest = lags[len(lags) * 99 // 100], statistics.median(self.delays), max(self.delays)
        print(
            f"{name:<34}{requests:>9.0f}{share:>8.1f} %{kilobytes:>9.1f} kB{p99:>9.0f} ms{lags[-1]:>7.0f} ms"
            f"{delay:>8.1f} s{longest:>7.1f} s",
            flush=True,
        )
        figures = {"requests an interval": requests, "% of a core": share, "kB a screening": kilobytes}
        figures |= {"ms of lag, p99": p99, "s until a completion is known": delay, "at most": longest}
        record(f"Screenings that are looked at every {INTERVAL:.0f} seconds", name, **figures)


@asynccontextmanager
async def measured(service: Server, costs: Costs) -> AsyncIterator[None]:
    """Measure what happens meanwhile."""

    async def watch_the_loop() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            costs.lags.append(time.perf_counter() - before - 0.005)

    watching = asyncio.create_task(watch_the_loop())
    asked, cpu, began = service.requests()["total"], time.process_time(), time.monotonic()
    yield
    costs.seconds, costs.cpu = time.monotonic() - began, time.process_time() - cpu
    costs.requests = await asyncio.to_thread(lambda: service.requests()["total"]) - asked
    watching.cancel()


async def triggers(service: Server, groups: list[list[str]], seconds: float) -> Costs:
    """Wait by triggers, one for each group, and complete some screenings meanwhile."""
    from pihupulse_provider.triggers.watch import WatchTrigger
    from pihupulse_provider.waiting.wait_spec import WaitSpec
    from pihupulse_provider.waiting.wait_state import WaitState

    events: dict[str, float] = {}

    async def one(group: list[str], goal: str) -> None:
        state = WaitState(WaitSpec(dict.fromkeys(group), clock.now(), wait_for=goal, interval=INTERVAL))
        async for _event in WatchTrigger("pihupulse_default", state.dump(clock.now())).run():
            events[group[0]] = time.monotonic()

    costs = Costs(sum(map(len, groups)))
    before = resident()
    tasks = [asyncio.create_task(one(group, "all" if len(group) == 1 else "any")) for group in groups]
    await asyncio.sleep(2.5 * INTERVAL)
    costs.kilobytes = resident() - before
    async with measured(service, costs):
        await asyncio.sleep(seconds)
    completed = {}
    for group in random.sample(groups, min(50, len(groups))):
        await asyncio.to_thread(service.complete, group[0])
        completed[group[0]] = time.monotonic()
        await asyncio.sleep(0.2)
    await asyncio.sleep(INTERVAL + 2)
    costs.delays = [events[screening_id] - at for screening_id, at in completed.items()]
    await cancel(tasks)
    return costs


async def pollers(service: Server, ids: list[str], seconds: float) -> Costs:
    """Wait by a poller for each screening, which asks for its candidate once an interval."""
    events: dict[str, float] = {}
    owners = {f"s{int(one[1:])}": f"c{int(one[1:]) - 67890 + 12345}" for one in ids}

    async def one(http: httpx.AsyncClient, screening_id: str) -> None:
        await asyncio.sleep(random.random() * INTERVAL)
        while True:
            answer = await http.get(f"/candidates/{owners[screening_id]}")
            if answer.json()["data"]["screenings"][0]["status"] == "completed":
                events[screening_id] = time.monotonic()
                return
            await asyncio.sleep(INTERVAL)

    costs = Costs(len(ids))
    before = resident()
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(base_url=service.base_url, headers=headers, timeout=60) as http:
        tasks = [asyncio.create_task(one(http, screening_id)) for screening_id in ids]
        await asyncio.sleep(2.5 * INTERVAL)
        costs.kilobytes = resident() - before
        async with measured(service, costs):
            await asyncio.sleep(seconds)
        completed = {}
        for screening_id in random.sample(ids, 50):
            await asyncio.to_thread(service.complete, screening_id)
            completed[screening_id] = time.monotonic()
            await asyncio.sleep(0.2)
        await asyncio.sleep(INTERVAL + 2)
        costs.delays = [events[screening_id] - at for screening_id, at in completed.items()]
        await cancel(tasks)
    return costs


async def beside_an_import(service: Server, ids: list[str], seconds: float) -> None:
    """Wait for 2,000 screenings while something else uses the account as fast as it may."""
    from pihupulse_provider.hooks.pihupulse import PihuPulseHook
    from pihupulse_provider.triggers.watch import WatchTrigger
    from pihupulse_provider.waiting.wait_spec import WaitSpec
    from pihupulse_provider.waiting.wait_state import WaitState

    worked = 0

    async def work() -> None:
        nonlocal worked
        async with await PihuPulseHook().get_async_conn() as client:
            while True:
                await client.list_candidates(limit=1)
                worked += 1

    async def wait(screening_id: str) -> None:
        state = WaitState(WaitSpec({screening_id: None}, clock.now(), interval=INTERVAL))
        async for _event in WatchTrigger("pihupulse_default", state.dump(clock.now())).run():
            return

    waits = [asyncio.create_task(wait(one)) for one in ids]
    workers = [asyncio.create_task(work()) for _ in range(8)]
    await asyncio.sleep(60)
    before = worked
    await asyncio.sleep(seconds)
    counters = await asyncio.to_thread(service.requests)
    rate = (worked - before) * 60 / seconds
    await cancel([*waits, *workers])
    refused = counters["refused"]
    print(f"2,000 waits on the Starter plan: {rate:.0f} of 100 requests a minute for the import, {refused} refused")
    figures = {"share of the plan for the import": rate / 100, "429s": refused}
    record("2,000 waits beside an import on the Starter plan", "this provider", **figures)


async def cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def resident() -> float:
    """Return this process's memory in kB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to measure each (30)")
    seconds = parser.parse_args().seconds
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="pihupulse-benchmark-")
    print(f"{'':<34}{'requests':>9}{'CPU':>10}{'memory':>12}{'lag p99':>12}{'max':>10}{'delay':>10}{'max':>9}")
    print(f"{f'an interval is {INTERVAL:.0f} s':<34}{'/interval':>9}{'':>10}{'/screening':>12}")
    with server() as service:
        ids = service.screenings(1000)
        asyncio.run(triggers(service, [[one] for one in ids], seconds)).show("1,000 waits of one")
    with server() as service:
        ids = service.screenings(10_000)
        asyncio.run(triggers(service, [ids], seconds)).show("1 wait of 10,000")
    with server() as service:
        ids = service.screenings(1000)
        asyncio.run(pollers(service, ids, seconds)).show("1,000 pollers of one, of httpx")
    with server("starter") as service:
        ids = service.screenings(2000)
        asyncio.run(beside_an_import(service, ids, 2 * seconds))


if __name__ == "__main__":
    main()
