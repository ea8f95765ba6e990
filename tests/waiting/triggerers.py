"""Processes that wait: triggerers, which die and take over from each other, and tasks, beside the inbox of webhooks."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from pihupulse_provider.api import AsyncClient, Client, MemoryRateLimit
from pihupulse_provider.api.retry import RetryPolicy
from pihupulse_provider.triggers import watch
from pihupulse_provider.waiting import inbox_tail
from pihupulse_provider.waiting.inbox_tail import completed_screenings, shared_tail
from tests.creating.processes import Network
from tests.virtual_processes import VirtualProcesses
from tests.waiting.virtual_inbox import InboxView

log = logging.getLogger("pihupulse_provider.tests")
CONNECTION, DEAF = "pihupulse_default", "pihupulse_other"
"""Two connections of one account; webhooks are received for the first."""


class DeferredError(Exception):
    """Takes the place of Airflow's exception of that name."""

    def __init__(self, trigger: Any, timeout: timedelta | None) -> None:
        super().__init__()
        self.trigger, self.timeout = trigger, timeout


class Process:
    """A process with a clock of its own, and with whatever a process keeps."""

    def __init__(self, history: Any, name: str) -> None:
        self.history, self.name = history, name
        self.apart = history.dice.choice([0, 0, 10, -10, 600, -3600])
        self.kept: dict[Any, dict[Any, Any]] = {}
        self.is_dead = False
        self.limit = history.limit or MemoryRateLimit(clock=self.now)
        self.store = InboxView(history, self)
        self.account = history.account
        self.pihupulse_conn_id = CONNECTION

    def now(self):
        return self.history.now() + self.apart

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)
        await self.step()

    async def step(self):
        if self.is_dead:
            raise asyncio.CancelledError

    async def get_async_conn(self):
        return AsyncClient(
            self.account,
            limit=self.limit,
            retry=RetryPolicy(random=self.history.dice.random),
            transport=Network(self),
            now=self.now,
        )

    def get_conn(self):
        return Client(
            self.account,
            limit=self.limit,
            retry=RetryPolicy(random=self.history.dice.random),
            transport=BlockingNetwork(self),
            sleep=block,
        )

    def updates(self):
        return completed_screenings(shared_tail(self.store), CONNECTION)

    def tasks(self):
        return [task for task, owner in self.history.owners.items() if owner is self and not task.done()]


class BlockingNetwork(httpx.BaseTransport):
    """Carries the requests of a task, which blocks until they are answered."""

    def __init__(self, process: Process) -> None:
        self._network = Network(process)

    def handle_request(self, request):
        return await_only(self._network.handle_async_request(request))


def block(seconds):
    await_only(asyncio.sleep(seconds))


class Deferral:
    """A trigger as Airflow's database has it."""

    def __init__(self, path: str, arguments: str) -> None:
        self.path, self.arguments = path, arguments
        self.event: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.running: asyncio.Task[None] | None = None
        self.times = 0

    def trigger(self):
        module, _, name = self.path.rpartition(".")
        return getattr(importlib.import_module(module), name)(**json.loads(self.arguments))


class Airflow:
    """Gives deferrals to the triggerers that live, and ends those that take too long."""

    process: type[Process] = Process

    def __init__(self, history: Any) -> None:
        self.history = history
        self.wrong: list[str] = []
        self._deferrals: list[Deferral] = []
        self._triggerers: list[Process] = []
        self._number = 0

    def start_triggerer(self):
        self._number += 1
        triggerer = self.process(self.history, f"triggerer {self._number}")
        self.history.tell(f"{triggerer.name} starts, its clock {triggerer.apart} s off")
        self._triggerers.append(triggerer)
        for deferral in self._deferrals:
            if deferral.running is None:
                self._give(deferral)

    async def kill_triggerer(self, down):
        """Kill one, and start another after a while, or give what it had to the others."""
        if not self._triggerers:
            return
        killed = self._triggerers.pop(self.history.dice.randrange(len(self._triggerers)))
        self.history.tell(f"{killed.name} is killed, for {down} s")
        orphans = [
            one for one in self._deferrals if one.running is not None and self.history.owners[one.running] is killed
        ]
        killed.is_dead = True
        for task in killed.tasks():
            task.cancel()
        await asyncio.gather(*killed.tasks(), return_exceptions=True)
        for one in orphans:
            one.running = None
        await asyncio.sleep(down)
        if not self._triggerers or self.history.dice.random() < 0.5:
            self.start_triggerer()
        for one in orphans:
            if one.running is None and one in self._deferrals:
                self._give(one)

    async def defer(self, deferred: DeferredError):
        """Return the payload of the trigger's event; None if it took too long."""
        path, arguments = deferred.trigger.serialize()
        deferral = Deferral(path, json.dumps(arguments))
        timeout = None if deferred.timeout is None else deferred.timeout.total_seconds()
        await asyncio.sleep(self.history.dice.choice([0.1, 1, 5, 30]))
        self._deferrals.append(deferral)
        if self._triggerers:
            self._give(deferral)
        try:
            async with asyncio.timeout(timeout):
                return await deferral.event
        except TimeoutError:
            return None
        finally:
            self._deferrals.remove(deferral)
            if deferral.running is not None:
                deferral.running.cancel()

    def _give(self, deferral):
        triggerer = self.history.dice.choice(self._triggerers)
        deferral.running = self.history.run_in(triggerer, self._run(deferral))

    async def _run(self, deferral):
        try:
            trigger = deferral.trigger()
            trigger.task_instance, trigger._log = None, log
            async for event in trigger.run():
                deferral.times += 1
                if deferral.event.done():
                    self.wrong.append("notified twice")
                else:
                    deferral.event.set_result(json.loads(json.dumps(event.payload)))
        except Exception as error:
            self.wrong.append(f"a trigger ended with {error!r}")


class Task:
    """A worker's process that waits, by itself or deferred."""

    def __init__(self, history: Any, wait: Any) -> None:
        self.process = Process(history, wait.name)
        self.log = log
        self._history, self._spec, self._deferrable = history, wait.spec, wait.deferrable
        self._connection = CONNECTION if wait.hears else DEAF

    def defer(self, *, trigger, method_name, timeout):
        raise DeferredError(trigger, timeout)

    async def run(self):
        spec = self._spec.of(self._spec.screenings, self.process.now())
        client = self.process.get_conn()
        if not self._deferrable:
            return await greenlet_spawn(self._history.waiting.wait_here, client, spec, self.log, block)
        begin, resume, end = (getattr(self._history.waiting, f"{name}_wait") for name in ("begin", "resume", "end"))
        step, arguments, options = begin, (self, client, self._connection, spec, "resume"), {}
        while True:
            try:
                return await greenlet_spawn(step, *arguments, **options)
            except DeferredError as deferred:
                event = await self._history.airflow.defer(deferred)
            if event is None:
                late = spec.of(spec.screenings, self.process.now() - (spec.limit or 0.0))
                step, arguments, options = end, (client, late, self.log), {}
            else:
                bare, options = spec.of({}, 0.0), {"method_name": "resume", "event": event}
                step, arguments = resume, (self, client, self._connection, bare)


class Processes(VirtualProcesses):
    """Processes that wait for screenings."""

    def __init__(self, history: Any, patch: pytest.MonkeyPatch) -> None:
        super().__init__(history, patch)
        patch.setattr(watch, "loaded_hook", self.loaded_hook)
        patch.setattr(watch, "forget", lambda _connection: None)
        patch.setattr(watch, "screening_updates", self._updates)
        patch.setattr(inbox_tail, "Inbox", lambda store: store)
        patch.setattr(inbox_tail, "READ_SECONDS", 1.0)

    def _updates(self, connection):
        return self.owner().updates if self._history.chances.webhooks and connection == CONNECTION else None
