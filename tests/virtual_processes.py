"""Processes that are tasks of one event loop in virtual time: each with a clock and what it keeps for its loop."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from pihupulse_provider.api import clock
from pihupulse_provider.waiting import per_loop


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
