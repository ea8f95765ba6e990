"""The trigger behind every wait for screenings.

Its class path stays, since triggers that are stored while they wait name it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from pihupulse_provider.api import clock
from pihupulse_provider.api.logs import utc
from pihupulse_provider.hooks.webhooks import screening_updates
from pihupulse_provider.store.activity import Activity, TaskRef
from pihupulse_provider.triggers.base import forget, hand_over, loaded_hook
from pihupulse_provider.waiting.wait_spec import End
from pihupulse_provider.waiting.wait_state import WaitState, pack

if TYPE_CHECKING:
    from pihupulse_provider.waiting.shared_poller import SharedPoller
    from pihupulse_provider.waiting.subscriptions import Subscription

_PROGRESS_SECONDS = 60.0


class WatchTrigger(BaseTrigger):
    """Waits for screenings, together with all other waits of the account in this triggerer.

    Its one event says how the wait ended and what was seen of each screening; a task reads it with
    :func:`pihupulse_provider.triggers.waiting.resume_wait`. The limit counts from when the trigger starts, less what
    the wait had taken until it was deferred, for the worker's clock may be another one; a trigger that starts too late
    polls once. What a restarted triggerer begins to count anew, Airflow's own limit on the deferral ends.

    :param pihupulse_conn_id: the connection.
    :param terms: what :meth:`pihupulse_provider.waiting.wait_state.WaitState.dump` returns.
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
        from pihupulse_provider.waiting.shared_poller import shared_poller
        from pihupulse_provider.waiting.wait_board import screenings_wait, shared_board

        began_at = clock.now()
        state = await asyncio.to_thread(WaitState.load, self.terms, began_at)
        hook = await loaded_hook(self.pihupulse_conn_id)
        poller = shared_poller(hook.account.key)
        poller.hear(self.pihupulse_conn_id, screening_updates(self.pihupulse_conn_id))
        task = TaskRef.of(self.task_instance)
        with poller.subscribe(state, hook.get_async_conn) as subscription:

            def shown(task: TaskRef) -> Activity:
                return screenings_wait(task, self.pihupulse_conn_id, state, subscription.next_poll_at)

            with shared_board(hook.store).showing(task, shown):
                end = await self._wait(poller, subscription)
        if end == "error":
            forget(self.pihupulse_conn_id)
        result = await asyncio.to_thread(partial(_result, state, end, clock.now()))
        await hand_over(began_at)
        yield TriggerEvent(result)  # type: ignore[no-untyped-call]

    async def _wait(self, poller: SharedPoller, subscription: Subscription) -> End:
        state = subscription.state
        # The task has said how far the wait is, before it was deferred.
        said, said_at = str(state.judge()), -_PROGRESS_SECONDS
        while state.judge().state == "waiting":
            if subscription.error is not None:
                self.log.warning("PihuPulse can't be polled here, the task tries itself: %s", subscription.error)
                return "error"
            state.warn(self.log)
            if str(state.judge()) != said and clock.now() - said_at >= _PROGRESS_SECONDS:
                said, said_at = str(state.judge()), clock.now()
                next_at = subscription.next_poll_at
                self.log.info(
                    "%s. The next poll is %s.", said, "under way" if next_at is None else f"at {utc(next_at)}"
                )
            left = state.spec.seconds_left(clock.now())
            if left is not None and left <= 0:
                if subscription.polled_at >= state.spec.started_at + (state.spec.limit or 0.0):
                    return state.spec.last_resort
                poller.poll_now(subscription)
                left = None
            await subscription.change(left)
        return "decided"


class WaitResult(dict[str, Any]):
    """The payload of a trigger's event; its text is for the log, to which Airflow writes it."""

    def __repr__(self) -> str:
        return str(self["summary"])


def _result(state: WaitState, end: End, now: float) -> WaitResult:
    # A worker of version 1.0.0 reads "started_at", a later one "waited", by a clock of its own.
    return WaitResult(
        end=end,
        summary=f"{state.judge()} ({end})",
        seen=pack(state),
        waited=now - state.spec.started_at,
        started_at=state.spec.started_at,
    )
