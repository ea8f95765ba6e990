"""Connections read once for many triggers: reading one takes a round trip through the triggerer's supervisor."""

from __future__ import annotations

import asyncio

from pihupulse_provider.api import clock
from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.waiting.per_loop import PerLoop

_SECONDS = 60.0
"""How long a connection is believed; a changed one counts from then on."""

_Reading = tuple[float, "asyncio.Task[PihuPulseHook]"]
_readings: PerLoop[_Reading] = PerLoop()


async def loaded_hook(conn_id: str) -> PihuPulseHook:
    """Return a hook that has read its connection, without blocking the event loop.

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
