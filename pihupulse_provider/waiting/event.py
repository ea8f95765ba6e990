"""Waiting for one event: all that wait in an event loop share their looks at the inbox."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar
from weakref import WeakKeyDictionary

from pihupulse_provider.store.engine import Store, StoreError
from pihupulse_provider.store.inbox import EventFilter, Inbox, InboxEvent
from pihupulse_provider.waiting.feed import LOOK_SECONDS

log = logging.getLogger(__name__)
_EVERYTHING = EventFilter()
Result = TypeVar("Result")
_Waiting = tuple[EventFilter, "asyncio.Future[InboxEvent]"]


def first_event(inbox: Inbox, wanted: EventFilter) -> InboxEvent | None:
    """Return the oldest event that is wanted; None if there is none yet."""
    found = inbox.read(wanted, limit=1).events
    return found[0] if found else None


class InboxTail:
    """Follows an inbox for everyone who waits in an event loop; it runs while anybody does.

    While the inbox can't be read it goes on trying.

    :param sleep: waits that many seconds.
    """

    def __init__(self, inbox: Inbox, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._inbox = inbox
        self._sleep = sleep
        self._waiting: list[_Waiting] = []
        self._following = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._failing = False

    async def first(self, wanted: EventFilter) -> InboxEvent:
        """Return the oldest event that is wanted, as soon as there is one."""
        arrival: asyncio.Future[InboxEvent] = asyncio.get_running_loop().create_future()
        waiting = (wanted, arrival)
        self._waiting.append(waiting)
        if self._runner is None:
            # What the tail logs concerns all that wait: it must not go to the log of the one that came first.
            self._runner = asyncio.get_running_loop().create_task(self._follow(), context=contextvars.Context())
        try:
            # Whatever came before the tail began to follow is looked for once; it tells what comes later.
            await self._following.wait()
            found = await self._insist(partial(first_event, self._inbox, wanted))
            return found if found is not None else await arrival
        finally:
            self._waiting.remove(waiting)

    async def _follow(self) -> None:
        position = await self._insist(self._inbox.head)
        self._following.set()
        while self._waiting:
            await self._sleep(LOOK_SECONDS)
            batch = await self._insist(partial(self._inbox.read, _EVERYTHING, after=position))
            position = batch.end
            for entry in batch.events:
                self._tell(entry)
        self._following.clear()
        self._runner = None

    def _tell(self, entry: InboxEvent) -> None:
        for wanted, arrival in self._waiting:
            if not arrival.done() and wanted.matches(entry):
                arrival.set_result(entry)

    async def _insist(self, look: Callable[[], Result]) -> Result:
        while True:
            try:
                seen = await asyncio.to_thread(look)
            except StoreError as error:
                log.log(logging.DEBUG if self._failing else logging.WARNING, "The inbox can't be read now: %s", error)
                self._failing = True
                await self._sleep(LOOK_SECONDS)
            else:
                self._failing = False
                return seen


_tails: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Store, InboxTail]] = WeakKeyDictionary()


def shared_tail(store: Store) -> InboxTail:
    """Return the running event loop's one tail of a store's inbox."""
    tails = _tails.setdefault(asyncio.get_running_loop(), {})
    if store not in tails:
        tails[store] = InboxTail(Inbox(store))
    return tails[store]
