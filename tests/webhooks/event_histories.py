"""Random histories of events, in virtual time: ``python -m tests.webhooks.event_histories FIRST COUNT [--tell]``.

In a history candidates and screenings come, go on and go, while asset triggers, sensors and read operators learn of it
from PihuPulse's lists and from webhooks, through one store. Triggerers and tasks are killed, PihuPulse and the store
fail, clocks are set, cursors are set back and forward. Then comes a time without trouble. In the end every stage must
have been stored once, and everybody must have been given what was theirs. A number decides it all.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

os.environ.setdefault("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")

import httpx
import pytest

from pihupulse_provider.api import Account, MemoryRateLimit, endpoints
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store.cursors import Cursor
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.inbox import EventFilter, Inbox
from pihupulse_provider.webhooks.polling import Poller
from tests.creating.world import START
from tests.histories import in_words, play_in_folder, play_many
from tests.virtual_processes import ProcessHistory
from tests.waiting.chances import TROUBLES
from tests.waiting.triggerers import CONNECTION
from tests.webhooks.event_chances import SLOW, Chances
from tests.webhooks.event_expectations import Reading, Stage, what_is_wrong
from tests.webhooks.event_lives import Lives
from tests.webhooks.event_machines import Machines
from tests.webhooks.event_readers import AssetReader, Consumer, SensorTask, Triggerers

PAGE = 10
SETTLES = 150.0
"""Seconds after the trouble in which what it has left under way comes to its end."""


class History(ProcessHistory):
    """One history; :meth:`play` it once."""

    def __init__(self, number: int, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(number, Chances.draw)
        chances = self.chances
        self.stores: list[Store] = []
        self.store_apart = 0.0
        self.wrote_nothing = 0
        self._path, self._folder = folder / "store.db", folder
        self.store_url = f"sqlite:///{self._path}"
        self.store = Store(self.store_url, self.store_now)
        self.stages: list[Stage] = []
        self.readings: list[Reading] = []
        self.polls: list[tuple[float, float]] = []
        self.since_at_least: dict[str, float] = {}
        self.replaced_at: float | None = None
        self.ago = 0.0
        self.sandbox = Sandbox(
            clock=lambda: self.now() + chances.service_apart - self.ago,
            order=chances.order,
            start_seconds=1e9,
            screening_seconds=1e9,
            **chances.plan,
        )
        self.account = Account(self.sandbox.api_key, self.sandbox.base_url)
        self.limit = MemoryRateLimit(clock=self.now)
        self.calm_from = chances.trouble_lasts + SETTLES if chances.trouble_lasts else 0.0
        self.away: list[tuple[float, float, bool]] = []
        # So that few rows take several pages.
        patch.setattr(endpoints, "MAX_PAGE_SIZE", PAGE)
        patch.setattr(endpoints.list_screenings, "__defaults__", (1, PAGE))
        self._watch_readings(patch)
        Machines(self, patch)
        self.airflow = Triggerers(self)
        self.assets: list[AssetReader] = []
        self.sensors: list[SensorTask] = []
        self.consumers: list[Consumer] = []
        self.awaited: list[tuple[str, str]] = []

    def store_now(self):
        return self.now() + self.store_apart

    def is_store_away(self, *, writes):
        now = self.loop.time()
        return any(begin <= now < end and (writes or not is_full) for begin, end, is_full in self.away)

    def is_struck(self):
        return self.is_troubled() and self.dice.random() < self.chances.share_failing

    def play(self) -> str | None:
        """Return what is wrong in the end; None if nothing is."""
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            self.loop.set_exception_handler(self._unhandled)
            try:
                return runner.run(self._play())
            except Exception as error:
                return in_words(error)
            finally:
                for store in (*self.stores, self.store):
                    store.dispose()

    def _unhandled(self, _, context):
        error = context.get("exception")
        # A task that nobody waits for any more may fail as any other.
        if not isinstance(error, PihuPulseError | httpx.HTTPError) or "constraint" in str(error):
            self.wrong.append(f"{context}")

    async def _play(self):
        lives = Lives(self)
        lives.insert_old()
        for _ in range(self.chances.triggerers):
            self.airflow.start_triggerer()
        for number in range(self.chances.assets):
            self.assets.append(AssetReader(self, number))
            self.airflow.watch(self.assets[-1])
        self.consumers = [Consumer(self, number) for number in range(self.chances.consumers)]
        scenes = [lives.play(), self._trouble(), self._set_cursors(), self._wait_for_events()]
        tasks = [self.run_in(None, scene) for scene in scenes + [one.run() for one in self.consumers]]
        await asyncio.wait(tasks)
        for task in tasks:
            task.result()
        # All that is left comes in three readings, whatever shifted under the last.
        await asyncio.sleep(max(0.0, self.calm_from - self.loop.time()) + 3 * self.chances.interval + 60)
        for sensor in self.sensors:
            await asyncio.wait(
                [sensor.task], timeout=max(1.0, sensor.began_at + sensor.timeout + 2000 - self.loop.time())
            )
            if sensor.task.done():
                sensor.task.result()
        for consumer in self.consumers:
            await consumer.read_to_the_end()
        return next(iter(self.airflow.wrong + self.wrong), None) or what_is_wrong(self)

    def stored(self):
        """Return what is in the inbox."""
        return Inbox(self.store).read_all(EventFilter()).events

    def first_match(self, sensor):
        """Return the position of the oldest event that a sensor may end with; None if there is none."""
        kind = "candidate_id" if sensor.event == "candidate.created" else "screening_id"
        since = None if sensor.since is None else START + sensor.since
        wanted = EventFilter(CONNECTION, (sensor.event,), **{kind: sensor.subject}, since=since)
        return next((one.position for one in Inbox(self.store).read(wanted, limit=1).events), None)

    async def _wait_for_events(self):
        running = []
        for number in range(self.chances.sensors):
            await asyncio.sleep(self.dice.expovariate(self.chances.sensors / self.chances.lasts))
            if not self.awaited:
                continue
            sensor = SensorTask(self, number)
            self.tell(f"{sensor} begins")
            sensor.task = self.run_in(None, sensor.run())
            self.sensors.append(sensor)
            running.append(sensor.task)

    async def _set_cursors(self):
        if not self.chances.seeks:
            return
        await asyncio.sleep(self.dice.uniform(0, self.chances.lasts))
        reader = self.dice.choice(self.assets)
        cursor = Cursor(self.store, CONNECTION, reader.name)
        here, head = cursor.position(), Inbox(self.store).head()
        position = self.dice.choice([self.dice.randrange(here + 1), self.dice.randrange(here, head + 1)])
        cursor.seek(position)
        if position != here:  # else what was handed on just now need not come again
            reader.seeks.append((self.loop.time(), position))
        self.tell(f"the cursor of {reader.name} is set from {here} to {position}")

    async def _trouble(self):
        dice, chances = self.dice, self.chances
        kinds = ["service", "service", "slow", "store", "full", "key"] + ["kill", "kill"] * chances.kills
        kinds += ["clock"] * chances.clock_set + ["replaced"] * (chances.replaced is not None)
        while (left := chances.trouble_lasts - self.loop.time()) > 0:
            await asyncio.sleep(min(left, dice.uniform(0, 100)))
            lasts = min(chances.trouble_lasts - self.loop.time(), dice.choice([1, 20, 100, 400]))
            await self._fail_somehow(dice.choice(kinds), lasts)
        self.tell("the trouble ends")

    async def _fail_somehow(self, what, lasts):
        dice = self.dice
        match what:
            case "service":
                kind, options = dice.choice(TROUBLES)
                await self._fail(lasts, kind, **options)
            case "slow":
                await self._fail(lasts, "latency", **dice.choice(SLOW))
            case "key":
                await self._fail(lasts, "error", status=401)
            case "store" | "full":
                self.tell(f"the store is {what} for {lasts} s")
                self.away.append((self.loop.time(), self.loop.time() + lasts, what == "full"))
            case "kill":
                await self.airflow.kill_triggerer(min(lasts, dice.choice([0, 5, 60])))
            case "clock":
                self.store_apart += dice.choice([-15, -3000, 50, 3000])
                self.tell(f"the store's clock is set: {self.store_apart}")
            case "replaced" if self.replaced_at is None:
                await self._replace_store(lasts)

    async def _replace_store(self, after):
        older = self._folder / "older.db"
        if self.chances.replaced == "older":
            with closing(sqlite3.connect(self._path)) as store, closing(sqlite3.connect(older)) as copy:
                store.backup(copy)
        await asyncio.sleep(after)
        for one in self._folder.glob("store.db*"):
            one.unlink()
        if older.exists():
            older.rename(self._path)
        self.replaced_at = self.loop.time()
        self.tell(f"the store is replaced: {self.chances.replaced}")

    async def _fail(self, lasts, kind, **options):
        self.tell(f"PihuPulse fails for {lasts:.0f} s: {kind} {options}")
        self.sandbox.fail(kind, **options)
        await asyncio.sleep(lasts)
        self.sandbox.heal()

    def _watch_readings(self, patch):
        poll, poll_anew, read = Poller.poll, Poller.poll_anew, Poller._read

        def counted(poller, events=(), *, every=0.0, since=None):
            self.polls.append((self.loop.time(), every))
            poller.every = every
            return poll(poller, events, every=every, since=since)

        def counted_anew(poller, events=(), *, since=None):
            self.polls.append((self.loop.time(), 0.0))
            poller.every = 0.0
            return poll_anew(poller, events, since=since)

        def watched(poller, followed, progress):
            reading = Reading(followed.kind, self.loop.time(), every=poller.every)
            self.readings.append(reading)
            try:
                stored = read(poller, followed, progress)
                reading.is_whole = True
                return stored
            finally:
                reading.ended_at = self.loop.time()

        patch.setattr(Poller, "poll", counted)
        patch.setattr(Poller, "poll_anew", counted_anew)
        patch.setattr(Poller, "_read", watched)


def play(number: int) -> tuple[History, str | None]:
    """Play a history; return it, and what is wrong in the end."""
    return play_in_folder(History, number)


if __name__ == "__main__":
    sys.exit(play_many(play, __doc__))
