"""Processes that read events: each has a store, which fails at times, and a few threads."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseSensorOperator
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from pihupulse_provider.store.engine import Store, StoreError
from pihupulse_provider.triggers import event, event_wait
from pihupulse_provider.waiting import inbox_tail
from pihupulse_provider.webhooks import polling
from tests.virtual_processes import VirtualProcesses
from tests.waiting.triggerers import Process, block

THREADS = 6
"""What ``asyncio.to_thread`` has on two cores."""


class SharedStore(Store):
    """The store as a process has it: slow, at times away or full, and its transactions fail now and then."""

    def __init__(self, history: Any, process: Process) -> None:
        super().__init__(history.store_url, history.store_now)
        self._history, self._process = history, process

    @contextmanager
    def begin(self, *, durable=True):
        self._reach(writes=True)
        with super().begin(durable=durable) as connection:
            driver = connection.connection.driver_connection
            before = driver.total_changes
            yield connection
            self._history.wrote_nothing += driver.total_changes == before
            if self._history.is_struck():
                raise StoreError("The transaction was rolled back")
        if self._history.is_struck():
            raise StoreError("Nothing is known of the commit")

    @contextmanager
    def read(self):
        self._reach(writes=False)
        with super().read() as connection:
            yield connection

    def append_events(self, rows):
        self._reach(writes=True)
        return super().append_events(rows)

    def _reach(self, *, writes):
        dice = self._history.dice
        await_only(asyncio.sleep(dice.choice([0, 0, 0.001, 0.02])))
        if self._process.is_dead:
            raise asyncio.CancelledError
        if self._history.is_store_away(writes=writes):
            raise StoreError("The store is away")


class Machine(Process):
    """A process with a few threads and a store; it stands for its hook, too."""

    def __init__(self, history: Any, name: str) -> None:
        super().__init__(history, name)
        self.store = SharedStore(history, self)
        self.threads = {"default": asyncio.Semaphore(THREADS)}
        history.stores.append(self.store)

    def get_connection(self, _connection):
        return None

    async def kill(self):
        self.is_dead = True
        for task in self.tasks():
            task.cancel()
        await asyncio.gather(*self.tasks(), return_exceptions=True)


class Machines(VirtualProcesses):
    """The processes that read events."""

    def __init__(self, history: Any, patch: pytest.MonkeyPatch) -> None:
        super().__init__(history, patch)
        sensors = BaseSensorOperator.__module__
        patch.setattr(f"{sensors}.time", SimpleNamespace(monotonic=self._now, sleep=block))
        patch.setattr(f"{sensors}.timezone", SimpleNamespace(utcnow=lambda: datetime.fromtimestamp(self._now(), UTC)))
        patch.setattr(history.loop, "run_in_executor", self._in_executor)
        patch.setattr(
            polling.Poller.__init__, "__kwdefaults__", {**polling.Poller.__init__.__kwdefaults__, "sleep": block}
        )
        patch.setattr(event, "loaded_hook", self.loaded_hook)
        patch.setattr(event_wait, "loaded_hook", self.loaded_hook)
        patch.setattr(event, "_CURSOR_SECONDS", 2.0)
        patch.setattr(inbox_tail, "READ_SECONDS", 1.0)

    def _now(self):
        return (self.owner() or self._history).now()

    async def in_thread(self, function, *args, **kwargs):
        process = self.owner()
        threads = process.threads["default"]
        return await asyncio.shield(self._history.run_in(process, self._run(threads, function, args, kwargs)))

    async def _in_executor(self, executor, function):
        process = self.owner()
        threads = process.threads.setdefault(executor, asyncio.Semaphore(executor._max_workers))
        return await asyncio.shield(self._history.run_in(process, self._run(threads, function, (), {})))

    async def _run(self, threads, function, args, kwargs):
        async with threads:
            return await greenlet_spawn(function, *args, **kwargs)
