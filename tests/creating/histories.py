"""Random histories of one task, in virtual time: ``python -m tests.creating.histories FIRST COUNT [--tell]``.

A history is some tries of a task, one after the other or side by side, each in a process with a clock of its own that
may be stopped and killed wherever it waits. The network, the service and the store fail, others create candidates, and
requests are carried out late. In the end come tries without trouble. One of them must succeed, and then everything must
exist exactly once. A number decides it all, so that a history which ends badly can be played again, and told.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from pihupulse_provider.api import Account, AsyncClient, MemoryRateLimit, endpoints
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.api.retry import RetryPolicy
from pihupulse_provider.creating import ledger_writer, lookup, recovery
from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.create_run import CreateRun, Loader
from pihupulse_provider.creating.options import CreateOptions
from pihupulse_provider.creating.readers import read_records
from pihupulse_provider.creating.resources import CandidateResource, ScreeningResource
from pihupulse_provider.exporting import list_reader
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store import ledger
from tests.creating.importing import JOB, KilledError, people
from tests.creating.processes import FAULTS, FailingStore, Network, Process, current, in_virtual_thread
from tests.creating.world import START
from tests.histories import play_in_folder, play_many
from tests.virtual_time import VirtualLoop

PAGE = 10
CALM_TRIES = 3
STUCK = 30_000.0
"""Seconds after which a try that has not ended never will."""


@dataclass
class Chances:
    """What a history is like.

    :ivar share_lost: of the requests that go wrong. ``share_failing``: of the store's transactions.
        ``share_stopped``: of the transactions in which the process is stopped for so long that they are rolled back.
    :ivar slowest: seconds that a request takes on its way at the most, there and back each.
    :ivar store_apart: how far the store's clock is from the true one; ``service_apart``: PihuPulse's.
    :ivar overlap: whether a try may begin while the one before it lives. ``outages``: whether the store goes away.
        ``power_cuts``: whether a kill is one, which the store's durable transactions alone outlive.
    """

    rows: int
    screenings: bool
    on_existing: str
    order: str
    plan: dict[str, int]
    candidates: int
    strangers: float
    share_lost: float
    share_failing: float
    share_stopped: float
    slowest: float
    store_apart: float
    service_apart: float
    overlap: bool
    outages: bool
    no_store: bool
    power_cuts: bool
    clock_set: bool
    repeats: int
    few: int

    @classmethod
    def draw(cls, dice: random.Random) -> Chances:
        # Without the store two tries at once don't know of each other.
        trouble = dice.choice(["overlap", "overlap", "outages", "no store", "failing", "power cuts", "none"])
        return cls(
            rows=dice.choice([1, 5, 12, 30, 60]),
            screenings=dice.random() < 0.3,
            on_existing=dice.choice(["create", "create", "skip"]),
            order=dice.choice(["oldest-first", "newest-first"]),
            plan=dice.choice([{}, {}, {"requests_per_minute": 300, "burst": 30}, {"requests_per_minute": 1000}]),
            candidates=dice.choice([0, 3, 35]),
            strangers=dice.choice([0, 0, 0.2, 2]),
            share_lost=dice.choice([0, 0.02, 0.1, 0.3]),
            share_failing=0.05 if trouble == "failing" else 0.0,
            share_stopped=dice.choice([0, 0.05]) if trouble == "overlap" else 0.0,
            slowest=dice.choice([0.01, 0.1, 1.0, 4.0]),
            store_apart=dice.choice([0, 0, 5, -5, 600, -3600]),
            service_apart=dice.choice([0, 0, 0, 3, -3, 300, -7200]),
            overlap=trouble == "overlap",
            outages=trouble == "outages",
            no_store=trouble == "no store",
            power_cuts=trouble == "power cuts",
            clock_set=trouble in ("overlap", "none") and dice.random() < 0.3,
            repeats=dice.choice([0, 0, 0, 3]),
            few=dice.choice([2, 5000]),
        )


class History:
    """One history; :meth:`play` it once."""

    def __init__(self, number: int, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.dice = random.Random(number)
        self.chances = Chances.draw(self.dice)
        self.loop = VirtualLoop(0.0)
        self.told: list[str] = []
        self._store, self._durable = folder / "store.db", folder / "durable.db"
        self._served: set[asyncio.Task[Any]] = set()
        self.sandbox = Sandbox(
            clock=lambda: self.now() + self.chances.service_apart,
            order=self.chances.order,
            candidates=self.chances.candidates,
            start_seconds=1e9,
            **self.chances.plan,
        )
        self.account = Account(self.sandbox.api_key, self.sandbox.base_url)
        self._rows = people(self.chances.rows)
        # So that few rows take several pages and several parts of everything.
        patch.setattr(ledger_writer, "_BACKLOG", 5)
        patch.setattr(ledger, "_CHUNK", 7)
        patch.setattr(recovery, "_CHUNK", 5)
        patch.setattr(recovery, "_FEW", self.chances.few)
        patch.setattr(list_reader, "MAX_PAGE_SIZE", PAGE)
        patch.setattr(lookup._candidates, "__defaults__", (PAGE,))
        patch.setattr(endpoints.list_screenings, "__defaults__", (1, PAGE))
        patch.setattr(asyncio, "to_thread", in_virtual_thread)

    def now(self):
        return START + self.loop.time()

    def tell(self, text):
        self.told.append(f"{self.loop.time():9.3f} {text}")

    def keep_what_is_durable(self):
        if self.chances.power_cuts:
            with closing(sqlite3.connect(self._store)) as store, closing(sqlite3.connect(self._durable)) as durable:
                store.backup(durable)

    def lose_what_is_not_durable(self):
        if self.chances.power_cuts and self._durable.exists():
            with closing(sqlite3.connect(self._store)) as store, closing(sqlite3.connect(self._durable)) as durable:
                durable.backup(store)

    def latency(self):
        return self.dice.choice([0, 0.001, self.chances.slowest * self.dice.random(), self.chances.slowest])

    def fault(self, process):
        is_struck = not process.calm and self.dice.random() < self.chances.share_lost
        return self.dice.choice(FAULTS) if is_struck else None

    def serve(self, work):
        """Do something in the service, of which no process is a part."""
        task = self.loop.create_task(work, context=contextvars.Context())
        self._served.add(task)
        task.add_done_callback(self._served.discard)
        return task

    def play(self) -> str | None:
        """Return what is wrong in the end; None if nothing is."""
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            return runner.run(self._play())

    async def _play(self):
        if self.chances.screenings:
            self._rows = [{"candidate_id": await self._create(row)} for row in self._rows]
        elif self.chances.on_existing == "create":
            self._rows += self.dice.choices(self._rows, k=self.chances.repeats)
        strangers = asyncio.create_task(self._create_strangers())
        due, alive = datetime.fromtimestamp(self.now(), UTC), []
        for number in range(self.dice.randrange(1, 5)):
            process = self._begin(f"try {number + 1}", is_first=number == 0, due=due, calm=False)
            alive.append(process)
            await asyncio.wait([process.task], timeout=self.dice.choice([60, STUCK]) if self.chances.overlap else STUCK)
            if self.chances.clock_set:
                self.chances.store_apart += self.dice.choice([-15, 0, 50, 3000])
            await asyncio.sleep(self.dice.choice([0, 20, 300]))
        for number in range(CALM_TRIES):
            process = self._begin(f"calm try {number + 1}", is_first=False, due=due, calm=True)
            await asyncio.wait([process.task], timeout=STUCK)
            if (wrong := self._end(process)) is None:
                break
            await asyncio.sleep(300)
        strangers.cancel()
        await asyncio.wait([one.task for one in alive], timeout=STUCK)
        while self._served:
            await asyncio.wait(self._served)
        ends = [end for one in alive if not isinstance(end := self._end(one), PihuPulseError | KilledError | None)]
        return next(iter(ends), None) or wrong or self._what_is_not_there_once(process)

    def _end(self, process):
        """Return what a try ended in; None if it did what it should."""
        try:
            if not process.task.done():
                return f"{process.name} never ends"
            process.task.result()
        except (KilledError, asyncio.CancelledError):
            return KilledError()
        except Exception as error:
            return error
        return None

    def _what_is_not_there_once(self, process):
        key = "candidate_id" if self.chances.screenings else "email"
        objects = self.sandbox.screenings if self.chances.screenings else self.sandbox.candidates
        there = Counter(one[key].casefold() for one in objects)
        wanted = Counter(row[key].casefold() for row in self._rows)
        if wrong := {one: there[one] for one in wanted if there[one] != wanted[one]}:
            return f"there more or less often than wanted: {wrong}"
        if len({one["id"] for one in process.results} & {one["id"] for one in objects}) < len(self._rows):
            return "results without an object of their own"
        return None if len(process.results) == len(self._rows) else f"{len(process.results)} results"

    def _begin(self, name, *, is_first, due, calm):
        process = Process(self, name, self.dice.choice([0, 0, 10, -10, 600, -3600]), calm=calm)
        if self.chances.no_store:
            process.outages.append((0.0, 1e9))
        if not calm:
            self._draw_trouble(process)
        trouble = {name: vars(process)[name] for name in ("apart", "kill_at", "stops", "outages")}
        self.tell(f"{name} begins: {trouble}")
        process.task = asyncio.create_task(self._try(process, is_first, due if self.dice.random() < 0.7 else None))
        return process

    def _draw_trouble(self, process):
        dice, steps, now = self.dice, self.chances.rows * 8 + 20, self.loop.time()
        if dice.random() < 0.6:
            process.kill_at = dice.randrange(1, steps)
        for _ in range(dice.choice([0, 0, 0, 1, 2])):
            process.stops[dice.randrange(1, steps)] = dice.choice([1, 5, 30, 100, 400])
        for _ in range(dice.choice([0, 1, 2]) if self.chances.outages else 0):
            begin = now + dice.choice([0, dice.uniform(0, 30)])
            process.outages.append((begin, begin + dice.choice([1, 10, 40, 200])))

    async def _try(self, process, is_first, since):
        current.set(process)
        store = FailingStore(f"sqlite:///{self._store}", lambda: self.now() + self.chances.store_apart, process)
        records = ledger.Ledger(store, self.account, clock=process.now)
        limit = MemoryRateLimit(clock=process.now)

        def connect():
            return AsyncClient(
                self.account,
                limit=limit,
                retry=RetryPolicy(random=self.dice.random),
                transport=Network(process),
                sleep=process.sleep,
                now=process.now,
            )

        is_single = len(self._rows) == 1
        resource = CandidateResource(CandidateInput())
        if self.chances.screenings:
            resource = ScreeningResource("t54321", "Engineer", send_invitation=True)
        options = CreateOptions(JOB, is_first, since, self.chances.on_existing, "create", is_single=is_single)
        run = CreateRun(resource, options, records, connect, process.results.extend, sleep=process.sleep)
        with run.rows:
            fingerprint = Loader(run.rows, resource, records.digest).load(read_records(self._rows))
            if is_single:
                async with connect() as client:
                    await run.create(client, None)
                process.results.extend(run.rows.results())
            else:
                await run._run(fingerprint)
        self.tell(f"{process.name} succeeds: {Counter(one['status'] for one in process.results)}")
        store.dispose()

    async def _create_strangers(self):
        for number in range(200 if self.chances.strangers else 0):
            await asyncio.sleep(self.dice.expovariate(self.chances.strangers))
            stranger = await self._create({"name": "Stranger", "email": f"stranger.{number}@example.net"})
            if self.dice.random() < 0.3:
                self.sandbox.delete(stranger)

    async def _create(self, candidate):
        """Create a candidate as others do, and return the id."""
        headers = {"Authorization": f"Bearer {self.sandbox.api_key}"}
        async with httpx.AsyncClient(transport=self.sandbox.transport(), headers=headers) as client:
            while (response := await client.post(f"{self.sandbox.base_url}/candidates", json=candidate)).is_error:
                await asyncio.sleep(1)
        return response.json()["data"]["id"]


def play(number: int) -> tuple[History, str | None]:
    """Play a history; return it, and what is wrong in the end."""
    return play_in_folder(History, number)


if __name__ == "__main__":
    sys.exit(play_many(play, __doc__))
