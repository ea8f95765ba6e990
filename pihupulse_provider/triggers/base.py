"""What triggers share: reading a connection, polling for events, and handing a task back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from airflow.providers.common.compat.sdk import conf

from pihupulse_provider.api import clock
from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.hooks.webhooks import poller
from pihupulse_provider.waiting.per_loop import PerLoop

_SECONDS = 60.0
"""How long a connection is believed; a changed one counts from then on."""
_MARGIN = 1.2
"""How much longer than its interval the worker's report may take."""

_Reading = tuple[float, "asyncio.Task[PihuPulseHook]"]
_readings: PerLoop[_Reading] = PerLoop()
_threads = ThreadPoolExecutor(4, thread_name_prefix="pihupulse-poll")
"""Those of ``asyncio.to_thread`` are few, and the inbox is read in them: a slow PihuPulse must not hold them all."""
_turns: PerLoop[asyncio.Lock] = PerLoop()


async def loaded_hook(conn_id: str) -> PihuPulseHook:
    """Return a hook that has read its connection, without blocking the event loop.

    Many triggers share one reading, since it takes a round trip through the triggerer's supervisor.

    :raises ConfigurationError: if the connection can't work. Airflow's own errors, if there is no such connection.
    """
    read_at, reading = _readings.get(conn_id, lambda: _begin(conn_id))
    if clock.now() - read_at > _SECONDS:
        forget(conn_id)
        _, reading = _readings.get(conn_id, lambda: _begin(conn_id))
    try:
        return await asyncio.shield(reading)
    except Exception:
        forget(conn_id)
        raise


def forget(conn_id: str) -> None:
    """Read a connection anew next time."""
    _readings.forget(conn_id)


def _begin(conn_id: str) -> _Reading:
    return clock.now(), asyncio.create_task(_load(conn_id))


async def _load(conn_id: str) -> PihuPulseHook:
    hook = PihuPulseHook(conn_id)
    await hook.get_async_account()
    return hook


async def poll_events(hook: PihuPulseHook, events: Sequence[str], *, every: float, since: float | None = None) -> None:
    """Poll as :meth:`.Poller.poll` does; those of one connection come one after the other, and share a reading.

    :raises PihuPulseError: if PihuPulse or the store can't be reached.
    """
    async with _turns.get(hook.pihupulse_conn_id, asyncio.Lock):
        poll = partial(poller(hook).poll, events, every=every, since=since)
        await asyncio.get_running_loop().run_in_executor(_threads, poll)


async def hand_over(began_at: float) -> None:
    """Wait until the worker that deferred the task has surely reported so.

    A trigger that fires earlier makes the scheduler fail the task: the executor's report of the deferred try then
    meets a task that is queued again (seen on Airflow 3.0 to 3.3). The report comes within ``[workers]
    min_heartbeat_interval`` seconds, 5 by default.

    :param began_at: when the trigger began, by :func:`pihupulse_provider.api.clock.now`.
    """
    reported_after = _MARGIN * conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    await asyncio.sleep(max(0.0, began_at + reported_after - clock.now()))
