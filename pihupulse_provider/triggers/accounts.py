"""Connections read once for many triggers: reading one takes a round trip through the triggerer's supervisor."""

from __future__ import annotations

import asyncio
import time
from weakref import WeakKeyDictionary

from pihupulse_provider.hooks.pihupulse import PihuPulseHook

_SECONDS = 60.0
"""How long a connection is believed; a changed one counts from then on."""

_Reading = tuple[float, "asyncio.Task[PihuPulseHook]"]
_readings: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Reading]] = WeakKeyDictionary()


async def loaded_hook(conn_id: str) -> PihuPulseHook:
    """Return a hook that has read its connection, without blocking the event loop.

    :raises ConfigurationError: if the connection can't work. Airflow's own errors, if there is no such connection.
    """
    readings = _readings.setdefault(asyncio.get_running_loop(), {})
    read_at, reading = readings.get(conn_id, (0.0, None))
    if reading is None or time.monotonic() - read_at > _SECONDS:
        reading = asyncio.create_task(_load(conn_id))
        readings[conn_id] = (time.monotonic(), reading)
    try:
        return await asyncio.shield(reading)
    except Exception:
        forget(conn_id)
        raise


def forget(conn_id: str) -> None:
    """Read a connection anew next time."""
    _readings.get(asyncio.get_running_loop(), {}).pop(conn_id, None)


async def _load(conn_id: str) -> PihuPulseHook:
    hook = PihuPulseHook(conn_id)
    await hook.get_async_account()
    return hook
