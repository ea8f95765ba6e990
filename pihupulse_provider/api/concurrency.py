"""Many requests at once, but not too many, from code that does not wait itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from pihupulse_provider.api.transport import CONCURRENCY

T = TypeVar("T")
R = TypeVar("R")


def run_to_end(work: Coroutine[Any, Any, R]) -> R:
    """Return what a coroutine returns, run in an event loop of its own.

    Unlike ``asyncio.run`` it leaves the thread's current event loop to whoever set it.
    """
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(work)


async def as_they_come(
    items: Iterable[T], work: Callable[[T], Awaitable[R]], limit: int = CONCURRENCY
) -> AsyncIterator[R]:
    """Work on the items, ``limit`` at once, and yield the results in the order in which they are ready.

    ``items`` is read only as fast as it is worked on. The first error ends it all.
    """
    waiting = iter(items)
    running: set[asyncio.Future[R]] = set()
    try:
        running.update(_start(waiting, work, limit))
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for ready in done:
                yield ready.result()
            running.update(_start(waiting, work, limit - len(running)))
    finally:
        for future in running:
            future.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _start(waiting: Iterator[T], work: Callable[[T], Awaitable[R]], count: int) -> list[asyncio.Future[R]]:
    return [asyncio.ensure_future(work(item)) for item in islice(waiting, count)]
