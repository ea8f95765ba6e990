"""The polls of a triggerer's event triggers, in threads that nothing else waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.hooks.webhooks import poller
from pihupulse_provider.waiting.per_loop import PerLoop

_threads = ThreadPoolExecutor(4, thread_name_prefix="pihupulse-poll")
"""Those of ``asyncio.to_thread`` are few, and the inbox is read in them: a slow PihuPulse must not hold them all."""
_turns: PerLoop[asyncio.Lock] = PerLoop()


async def poll_events(hook: PihuPulseHook, events: Sequence[str], *, every: float, since: float | None = None) -> None:
    """Poll as :meth:`.Poller.poll` does; those of one connection come one after the other, and share a reading.

    :raises PihuPulseError: if PihuPulse or the store can't be reached.
    """
    async with _turns.get(hook.pihupulse_conn_id, asyncio.Lock):
        poll = partial(poller(hook).poll, events, every=every, since=since)
        await asyncio.get_running_loop().run_in_executor(_threads, poll)
