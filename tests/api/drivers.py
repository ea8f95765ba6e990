"""The blocking and the event-loop client behind one face, and a scripted service for both."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import httpx

from pihupulse_provider.api import Account, AsyncClient, Client, MemoryRateLimit, RetryPolicy

Reply = httpx.Response | Exception
KEY = "pp_test_key"


class Clock:
    """A clock that only moves when somebody sleeps; it remembers for how long they did."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Service:
    """Responds with what it is given, the last reply again and again, and remembers the requests."""

    def __init__(self, *replies: Reply | Callable[[httpx.Request], httpx.Response]) -> None:
        self._replies = list(replies)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, httpx.Response):
            # A response is read once; each request gets one of its own.
            return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)
        return reply(request)


class Driver(Protocol):
    """Calls a method of a client by its name."""

    clock: Clock

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any: ...

    def all(self, method: str, *, most: int | None = None, **kwargs: Any) -> list[Any]: ...


class BlockingDriver:
    def __init__(self, service: Service, **options: Any) -> None:
        self.clock = options.pop("clock", Clock())
        self._options = _options(self.clock, service, options)

    def _client(self) -> Client:
        return Client(sleep=self.clock.sleep, **self._options)

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        with self._client() as client:
            return getattr(client, method)(*args, **kwargs)

    def all(self, method: str, *, most: int | None = None, **kwargs: Any) -> list[Any]:
        with self._client() as client:
            return list(itertools.islice(getattr(client, method)(**kwargs), most))


class EventLoopDriver:
    def __init__(self, service: Service, **options: Any) -> None:
        self.clock = options.pop("clock", Clock())
        self._options = _options(self.clock, service, options)

    def _client(self) -> AsyncClient:
        return AsyncClient(sleep=self.clock.asleep, **self._options)

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        async def once() -> Any:
            async with self._client() as client:
                return await getattr(client, method)(*args, **kwargs)

        return _run(once())

    def all(self, method: str, *, most: int | None = None, **kwargs: Any) -> list[Any]:
        async def every() -> list[Any]:
            found: list[Any] = []
            async with self._client() as client:
                async for item in getattr(client, method)(**kwargs):
                    found.append(item)
                    if len(found) == most:
                        break
            return found

        return _run(every())


DRIVERS: dict[str, type[BlockingDriver] | type[EventLoopDriver]] = {
    "blocking": BlockingDriver,
    "event loop": EventLoopDriver,
}


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    # Unlike asyncio.run, this leaves alone the loop that pytest-asyncio keeps for the tests that are coroutines.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(work)


def _options(clock: Clock, service: Service, given: dict[str, Any]) -> dict[str, Any]:
    return {
        "account": given.get("account") or Account(KEY),
        "limit": given.get("limit") or MemoryRateLimit(clock=clock),
        "retry": given.get("retry") or RetryPolicy(random=lambda: 1.0),
        "transport": given.get("transport") or httpx.MockTransport(service),
    }
