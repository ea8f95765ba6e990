"""The trigger behind every wait for screenings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from pihupulse_provider.hooks.webhooks import inbox_feed
from pihupulse_provider.triggers.accounts import forget, loaded_hook
from pihupulse_provider.triggers.handover import hand_over
from pihupulse_provider.waiting.packing import pack_snapshots
from pihupulse_provider.waiting.subscriptions import Subscription
from pihupulse_provider.waiting.wait_spec import End, WaitSpec

_PROGRESS_SECONDS = 60.0


class WatchTrigger(BaseTrigger):
    """Waits for screenings, together with all other waits of the account in this triggerer.

    Its one event says how the wait ended and what was seen of each screening; a task reads it with
    :func:`pihupulse_provider.triggers.waiting.resume_wait`.

    :param pihupulse_conn_id: the connection.
    :param terms: what :meth:`pihupulse_provider.waiting.wait_spec.WaitSpec.dump` returns.
    """

    def __init__(self, pihupulse_conn_id: str, terms: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pihupulse_conn_id = pihupulse_conn_id
        self.terms = terms

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes the trigger anew from."""
        arguments = {"pihupulse_conn_id": self.pihupulse_conn_id, "terms": self.terms}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        from pihupulse_provider.waiting.shared_poller import SharedPoller, shared_poller

        began_at = time.monotonic()
        terms = await asyncio.to_thread(WaitSpec.load, self.terms)
        hook = await loaded_hook(self.pihupulse_conn_id)
        poller = shared_poller(hook.account.key, lambda: SharedPoller(inbox_feed(self.pihupulse_conn_id)))
        with poller.waiting(terms, hook.get_async_conn) as waiting:
            end = await self._wait(waiting)
        if end == "error":
            forget(self.pihupulse_conn_id)
        seen = await asyncio.to_thread(pack_snapshots, list(waiting.watch))
        result = {"end": end, "seen": seen, "started_at": terms.started_at}
        await hand_over(began_at)
        yield TriggerEvent(result)  # type: ignore[no-untyped-call]

    async def _wait(self, waiting: Subscription) -> End:
        told, told_at = str(waiting.watch.judge()), 0.0
        while (verdict := waiting.watch.judge()).state == "waiting":
            if waiting.error is not None:
                self.log.warning("Looking at PihuPulse failed, the task tries itself: %s", waiting.error)
                return "error"
            waiting.watch.warn(self.log)
            left = waiting.terms.seconds_left(time.time())
            if left is not None and left <= 0:
                return waiting.terms.last_resort
            if str(verdict) != told and time.monotonic() - told_at >= _PROGRESS_SECONDS:
                told, told_at = str(verdict), time.monotonic()
                self.log.info("%s.", verdict)
            await waiting.news(left)
        return "decided"
