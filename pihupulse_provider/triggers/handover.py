"""When a trigger may hand its task back."""

from __future__ import annotations

import asyncio

from airflow.providers.common.compat.sdk import conf

from pihupulse_provider.api import clock

_MARGIN = 1.2


async def hand_over(began_at: float) -> None:
    """Wait until the worker that deferred the task has surely reported so.

    A trigger that fires earlier makes the scheduler fail the task: the executor's report of the deferred try then
    meets a task that is queued again (seen on Airflow 3.0 to 3.3). The report comes within ``[workers]
    min_heartbeat_interval`` seconds, 5 by default.

    :param began_at: when the trigger began, by :func:`pihupulse_provider.api.clock.now`.
    """
    reported_after = _MARGIN * conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    await asyncio.sleep(max(0.0, began_at + reported_after - clock.now()))
