"""Processes that are tasks of one event loop in virtual time: each with a clock and what it keeps for its loop."""

from __future__ import annotations

import asyncio
import contextvars
import random
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from pihupulse_provider.api import clock
from pihupulse_provider.waiting import per_loop
from tests.creating.processes import FAULTS
from tests.creating.world import START
from tests.virtual_time import VirtualLoop


class ProcessHistory:
    """A random history of such processes, which a number decides.

    :param chances: draws, with dice, until when there is trouble, how slow the slowest response is, and which share of
        requests is lost meanwhile.
    """

    def __init__(self, number: int, chances: Any) -> None:
        self.dice = random.Random(number)
        self.chances = chances(self.dice)
        self.loop = VirtualLoop(0.0)
        self.told: list[str] = []
        self.wrong: list[str] = []
        self.owners: WeakKeyDictionary[asyncio.Task[Any], Any] = WeakKeyDictionary()
        self.served: set[asyncio.Task[Any]] = set()

    def now(self):
        return START + self.loop.time()

    def tell(self, text):
        self.told.append(f"{self.loop.time():9.3f} {text}")

    def is_troubled(self):
        return self.loop.time() < self.chances.trouble_lasts

    def latency(self):
        return self.dice.choice([0, 0.001, self.chances.slowest * self.dice.random(), self.chances.slowest])

    def fault(self, _process):
        is_lost = self.is_troubled() and self.dice.random() < self.chances.share_lost
        return self.dice.choice(FAULTS) if is_lost else None

    def serve(self, work):
        """Do something in the service, of which no process is a part."""
        task = self.run_in(None, work)
        self.served.add(task)
        task.add_done_callback(self.served.discard)
        return task

    def run_in(self, process, work):
        """Start a task of a process."""
        task = self.loop.create_task(work, context=contextvars.Context())
        self.owners[task] = process
        return task


class VirtualProcesses:
    """Has each task of an event loop act for the process that began it.

    :param history: has the ``loop``, the ``owners`` of its tasks, the ``dice`` and the true time, ``now``.
    """

    def __init__(self, history: Any, patch: pytest.MonkeyPatch) -> None:
        def get(per_loop_, key, make):
            return self._kept(per_loop_, key, make)

        self._history = history
        self._owners: WeakKeyDictionary[asyncio.Task[Any], Any] = history.owners
        history.loop.set_task_factory(self._make_task)
        patch.setattr(clock, "time", SimpleNamespace(clock_gettime=self._steady_time))
        patch.setattr(asyncio, "to_thread", self.in_thread)
        patch.setattr(per_loop.PerLoop, "get", get)

    def owner(self):
        task = asyncio.current_task(self._history.loop)
        return None if task is None else self._owners.get(task)

    async def in_thread(self, function, *args, **kwargs):
        await asyncio.sleep(self._history.dice.choice([0, 0, 0.001, 0.05, self._history.dice.random()]))
        result = function(*args, **kwargs)
        await asyncio.sleep(self._history.dice.choice([0, 0, 0.001, 0.01]))
        return result

    async def loaded_hook(self, _connection):
        await asyncio.sleep(0.01)
        return self.owner()

    def _make_task(self, loop, work, **options):
        task = asyncio.Task(work, loop=loop, **options)
        self._owners[task] = self.owner()
        return task

    def _steady_time(self, _clock):
        return (self.owner() or self._history).now() - clock._STARTED_AT

    def _kept(self, per_loop_, key, make):
        kept = self.owner().kept.setdefault(per_loop_, {})
        if key not in kept:
            kept[key] = make()
        return kept[key]
