"""Who reads events in a history: asset triggers, sensors and read operators, in processes that share a store."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from datetime import UTC, datetime
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    TaskDeferred,
)
from sqlalchemy.util.concurrency import greenlet_spawn

from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.operators.events import PihuPulseReadEventsOperator
from pihupulse_provider.sensors.event import PihuPulseEventSensor
from pihupulse_provider.triggers.event import PihuPulseEventTrigger
from tests.creating.world import START
from tests.waiting.triggerers import Airflow, DeferredError, log
from tests.webhooks.event_machines import Machine

HAS_SHARED_STREAMS = find_spec("airflow.triggers.shared_stream") is not None


class AssetReader:
    """An asset trigger, which Airflow runs for ever, and the asset events that Airflow has stored of it."""

    def __init__(self, history: Any, number: int) -> None:
        dice = history.dice
        self.history = history
        self.name = f"assets {number}"
        self.running: asyncio.Task[None] | None = None
        self.is_shared = HAS_SHARED_STREAMS and dice.random() < 0.5
        self.refused = dice.choice([0, 0, 0.05]) if self.is_shared else 0.0
        # The first one follows all, so that the lists are always followed.
        events = () if number == 0 else dice.choice([(), ("screening.completed", "report.generated")])
        self.trigger = PihuPulseEventTrigger(
            events=events,
            consumer=self.name,
            source="polling",
            poll_interval=float(history.chances.interval if number == 0 else dice.choice([5, 20, 60])),
        )
        self.stored: list[tuple[float, int]] = []
        self.heard_at: dict[int, float] = {}
        self.refusals: list[tuple[float, int]] = []
        self.restarts: list[float] = []
        self.seeks: list[tuple[float, int]] = []

    async def run(self, process):
        while True:
            try:
                await (self._run_shared(process) if self.is_shared else self._run(process))
            except PihuPulseError as error:
                if not self.refused:
                    self.history.wrong.append(f"{self.name} ended with {error!r}")
            self.restarts.append(self.history.loop.time())
            await asyncio.sleep(1)

    async def _run(self, process):
        trigger = PihuPulseEventTrigger(**self.trigger.serialize()[1])
        async for one in trigger.run():
            position = one.payload["position"]
            self.heard_at.setdefault(position, self.history.loop.time())
            self.history.loop.call_later(self.history.dice.choice([0, 0.1, 3]), self._store, process, position)

    def _store(self, process, position):
        if not process.is_dead:
            self.history.tell(f"{self.name}: {position} is stored")
            self.stored.append((self.history.loop.time(), position))

    async def _run_shared(self, process):
        producer = PihuPulseEventTrigger.create_shared_stream_producer(self.trigger.serialize()[1])
        handed_on: deque[Any] = deque()
        advancing = asyncio.ensure_future(self._advance(producer, handed_on, process))
        stream = producer.open_stream()
        reading = asyncio.ensure_future(self._read(stream, handed_on))
        try:
            await asyncio.wait([advancing, reading], return_when=asyncio.FIRST_COMPLETED)
        finally:
            advancing.cancel()
            reading.cancel()
            await asyncio.gather(advancing, reading, return_exceptions=True)
            await stream.aclose()
        for task in (advancing, reading):
            if not task.cancelled():
                task.result()

    async def _read(self, stream, handed_on):
        async for entry, broker_payload in stream:
            self.heard_at.setdefault(entry.position, self.history.loop.time())
            handed_on.append((entry, broker_payload))

    async def _advance(self, producer, handed_on, process):
        from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome

        dice = self.history.dice
        while True:
            await asyncio.sleep(dice.choice([0.05, 0.3, 2]))
            batch = []
            while handed_on and len(batch) < 5:
                entry, broker_payload = handed_on.popleft()
                is_refused = self.history.is_troubled() and dice.random() < self.refused
                if is_refused:
                    self.history.tell(f"{self.name}: {entry.position} is refused")
                    self.refusals.append((self.history.loop.time(), entry.position))
                else:
                    self._store(process, entry.position)
                batch.append(AdvanceItem(broker_payload, AdvanceOutcome(acked=not is_refused, failed=is_refused)))
            if batch:
                await producer.advance(batch)


class Triggerers(Airflow):
    """Gives asset triggers and deferred sensors to the triggerers that live."""

    process = Machine

    def watch(self, reader):
        self._deferrals.append(reader)
        self._give(reader)

    async def _run(self, deferral):
        if isinstance(deferral, AssetReader):
            await deferral.run(self.history.owners[asyncio.current_task()])
        else:
            await super()._run(deferral)


class SensorTask:
    """A sensor that waits for an event of one screening or candidate.

    :ivar since: from when on, in the history's time; None for ever.
    """

    def __init__(self, history: Any, number: int) -> None:
        dice, chances = history.dice, history.chances
        self.history, self.name = history, f"sensor {number}"
        self.mode = dice.choice(["poke", "reschedule", "deferrable", "deferrable"])
        self.source = dice.choice(["polling", "polling", "webhooks"])
        self.interval = float(dice.choice([5, 20, 60]))
        self.timeout = dice.choice([dice.uniform(10, chances.lasts), 2 * chances.lasts])
        self.event, self.subject = dice.choice(history.awaited)
        now = history.loop.time()
        self.since = dice.choice([None, now, max(-100.0, now - 300)])
        self.began_at = now
        self.tries: list[float] = []
        self.ended_at: float | None = None
        self.found: dict[str, Any] | None = None
        self.first_match: int | None = None
        self.task: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        how = f"{self.mode}, {self.source}, {self.interval}, {self.timeout:.0f} s, {self.since}"
        return f"{self.name} ({how}) for {self.event} of {self.subject}"

    def make(self):
        kind = "candidate_id" if self.event == "candidate.created" else "screening_id"
        since = None if self.since is None else datetime.fromtimestamp(START + self.since, UTC).isoformat()
        options = {"deferrable": True} if self.mode == "deferrable" else {"mode": self.mode, "deferrable": False}
        return PihuPulseEventSensor(
            task_id=self.name.replace(" ", "-"),
            event=self.event,
            **{kind: self.subject},
            since=since,
            source=self.source,
            poke_interval=self.interval,
            timeout=self.timeout,
            **options,
        )

    async def run(self):
        while self.ended_at is None:
            self.tries.append(self.history.loop.time())
            try:
                self.found = await self._try()
            except AirflowSensorTimeout:
                pass
            except PihuPulseError as error:
                self.history.tell(f"{self} fails: {error!r}")
                await asyncio.sleep(self.history.dice.choice([5, 30]))
                continue
            self.first_match = self.history.first_match(self)
            self.ended_at = self.history.loop.time()
        self.history.tell(f"{self} ends: {self.found}")

    async def _try(self):
        first_at = None
        names = {"dag_id": "dag", "run_id": "run", "task_id": self.name, "map_index": -1, "try_number": 1}
        instance = SimpleNamespace(**names, get_first_reschedule_date=lambda _context: first_at)
        context, arguments = {"ti": instance}, ()
        while True:
            process, sensor = Machine(self.history, self.name), self.make()
            sensor.hook, sensor._cached_logger = process, log
            if self.mode == "reschedule":
                process.apart = 0.0  # Airflow compares the times of several machines itself
            run = sensor.resume_execution if arguments else sensor.execute
            try:
                return await self.history.run_in(process, greenlet_spawn(run, *arguments, context))
            except AirflowRescheduleException as reschedule:
                first_at = first_at or datetime.fromtimestamp(process.now(), UTC)
                await asyncio.sleep(max(0.0, reschedule.reschedule_date.timestamp() - process.now()))
                arguments = ()
            except TaskDeferred as deferred:
                payload = await self.history.airflow.defer(DeferredError(deferred.trigger, deferred.timeout))
                arguments = ("resume", {"event": payload}) if payload else ("__fail__", {"error": "Trigger timeout"})


class Consumer:
    """A DAG whose runs read what is new, and what each of them got."""

    def __init__(self, history: Any, number: int) -> None:
        dice = history.dice
        self.history, self.name = history, f"consumer {number}"
        self.source = dice.choice(["polling", "webhooks"])
        self.events = dice.choice([(), ("screening.completed",), ("screening.created", "candidate.created")])
        self.limit = dice.choice([None, None, 3])
        self.results: dict[str, list[int]] = {}
        self.seeks: list[tuple[float, int]] = []
        self._runs = 0

    async def run(self):
        dice, chances = self.history.dice, self.history.chances
        runs: list[asyncio.Task[None]] = []
        while self.history.loop.time() < chances.lasts:
            await asyncio.sleep(dice.uniform(0, chances.lasts / 6))
            runs.append(self.history.run_in(None, self._run(self._next())))
            if dice.random() < 0.8:
                await runs[-1]
        for run in runs:
            await run

    async def read_to_the_end(self):
        while await self._run(self._next()):
            pass

    def _next(self):
        self._runs += 1
        return f"run {self._runs}"

    async def _run(self, run):
        dice = self.history.dice
        for number in range(100):
            process = Machine(self.history, f"{self.name} {run} {number}")
            task = self.history.run_in(process, greenlet_spawn(self._read, process, run))
            is_struck = self.history.is_troubled() and dice.random() < 0.3
            await asyncio.wait([task], timeout=dice.choice([0.01, 0.1, 1, 5]) if is_struck else None)
            if not task.done():
                if dice.random() < 0.5:
                    await process.kill()
                # Else its heartbeat was lost, and the next try begins beside it.
                continue
            if (error := task.exception()) is None:
                positions = [one["position"] for one in task.result()]
                if run in self.results and self.results[run] != positions:
                    self.history.wrong.append(f"{run} of {self.name}: first {self.results[run]}, then {positions}")
                self.results[run] = positions
                self.history.tell(f"{run} of {self.name} has {positions}")
                if self.history.is_troubled() and dice.random() < 0.2:
                    continue  # it is cleared
                return positions
            if not isinstance(error, PihuPulseError):
                raise error
            self.history.tell(f"{run} of {self.name} fails: {error!r}")
            await asyncio.sleep(dice.choice([1, 20]))
        raise AssertionError(f"{run} of {self.name} fails again and again")

    def _read(self, process, run):
        operator = PihuPulseReadEventsOperator(
            task_id="read", consumer=self.name, events=list(self.events), limit=self.limit, source=self.source
        )
        operator.hook, operator._cached_logger = process, log
        instance = SimpleNamespace(dag_id=self.name, run_id=run, task_id="read", map_index=-1, try_number=1)
        return json.loads(json.dumps(operator.execute({"ti": instance})))
