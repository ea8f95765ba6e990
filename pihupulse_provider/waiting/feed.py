"""News of screenings that come by themselves, such as webhooks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.waiting.screening_snapshot import ScreeningSnapshot

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.2
"""How often those that wait look for news. On SQLite one look at the inbox takes a few hundred microseconds."""


class EventFeed(Protocol):
    """A stream of news; it may repeat itself, come late or miss something."""

    async def read(self) -> Sequence[ScreeningSnapshot]:
        """Return what came since the last call, without blocking the event loop.

        :raises PihuPulseError: when it can't be read now; it is read again.
        """
        ...


@asynccontextmanager
async def listening(feed: EventFeed | None, tell: Callable[[Sequence[ScreeningSnapshot]], None]) -> AsyncIterator[None]:
    """Hand on the news of a feed for as long as the context lasts."""
    if feed is None:
        yield
        return
    listener = asyncio.create_task(_listen(feed, tell))
    try:
        yield
    finally:
        listener.cancel()
        await asyncio.wait([listener])


async def _listen(feed: EventFeed, tell: Callable[[Sequence[ScreeningSnapshot]], None]) -> None:
    failing = False
    while True:
        try:
            tell(await feed.read())
            failing = False
        except PihuPulseError as error:
            log.log(logging.DEBUG if failing else logging.WARNING, "No news can be read, polling goes on: %s", error)
            failing = True
        await asyncio.sleep(LOOK_SECONDS)
