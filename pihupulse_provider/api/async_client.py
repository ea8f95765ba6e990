"""The client for an event loop, and many of its requests at once, but not too many."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import httpx

from pihupulse_provider.api import clock, endpoints
from pihupulse_provider.api.account import Account
from pihupulse_provider.api.clock import ServerTime
from pihupulse_provider.api.endpoints import MAX_PAGE_SIZE, Call, ResultT
from pihupulse_provider.api.errors import NotSentError, TransportError
from pihupulse_provider.api.limiter import RateLimit, process_rate_limit
from pihupulse_provider.api.models import (
    Candidate,
    ItemT,
    NewCandidate,
    NewScreening,
    Page,
    Report,
    Screening,
    Template,
)
from pihupulse_provider.api.network import AsyncTransport, before_each_write
from pihupulse_provider.api.pagination import Pages
from pihupulse_provider.api.rate_limit import MINUTE, Slot
from pihupulse_provider.api.response import Response
from pihupulse_provider.api.retry import Exchanges, Observe, Reserve, RetryPolicy, Send, Sleep
from pihupulse_provider.api.transport import (
    CONCURRENCY,
    LONGEST_REQUEST,
    Body,
    check_open,
    client_options,
    request_options,
    responses_hidden,
    transport_error,
    transport_options,
)

__all__ = ["AsyncClient"]

BeforeSend = Callable[[], Awaitable[float]]
"""Returns until when the request may go out, in epoch seconds of the client's clock."""


class AsyncClient:
    """PihuPulse for one event loop, which it never blocks; use it as a context manager, or close it.

    :param account: whom to talk to.
    :param limit: the account's rate limit; None for the one that all clients in this process share.
    :param retry: when to send again.
    :param transport: what carries the requests; None for the network.
    :param sleep: waits that many seconds. :param now: this process's clock, in epoch seconds.
    :ivar requests_sent: how many requests went out, repetitions included. ``time``: the service's.
    """

    def __init__(
        self,
        account: Account,
        *,
        limit: RateLimit | None = None,
        retry: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = clock.now,
    ) -> None:
        self.account = account
        self.limit = limit or process_rate_limit(account.key, account.plan)
        self._exchanges = Exchanges(retry or RetryPolicy(), self.limit.now, account.key_place)
        self._sleep = sleep
        self._now = now
        self.time = ServerTime(now)
        self.requests_sent = 0
        self._turns = asyncio.Semaphore(CONCURRENCY)
        transport = transport or AsyncTransport(**transport_options(account))
        self._http = httpx.AsyncClient(transport=transport, **client_options(account))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def is_closed(self) -> bool:
        """Return whether it was closed, so that it sends nothing any more."""
        return self._http.is_closed

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(
        self,
        call: Call[ResultT],
        *,
        poll: bool = False,
        before_send: BeforeSend | None = None,
    ) -> ResultT:
        """Carry out a call of :mod:`pihupulse_provider.api.endpoints`.

        :param poll: whether it only looks whether something has happened, and so gives way to other work.
        :param before_send: is awaited each time the request is about to go out, its slot having come, when there is a
            connection for it, which can take long, and before its body; what it raises ends the call with nothing sent.
            It returns until when that holds: a process may be stopped between this last look and the write itself,
            which then does not happen.
        :raises PihuPulseError: a subclass that says what went wrong.
        """
        check_open(self._http, call)
        steps = self._exchanges.start(call, poll=poll)
        reply: Any = None
        try:
            while True:
                step = steps.send(reply)
                reply = await self._do(step, before_send)
        except StopIteration as end:
            result: ResultT = end.value
            return result

    async def _do(self, step: Reserve | Send | Observe | Sleep, before_send: BeforeSend | None) -> Any:
        match step:
            case Reserve():
                return await self._reserve(poll=step.poll)
            case Send():
                async with self._turns:
                    return await self._send(step.call, before_send)
            case Observe():
                return await self._limit(self.limit.observe, step.slot, step.headers)
            case Sleep():
                return await self._sleep(step.seconds)

    async def _reserve(self, *, poll: bool) -> Slot:
        while True:
            slot: Slot = await self._limit(self.limit.reserve, poll=poll)
            if (wait := min(slot.at - self.limit.now(), MINUTE)) > 0:
                await self._sleep(wait)
            if slot.taken and not self.limit.is_void(slot):
                return slot

    async def _send(self, call: Call[Any], before_send: BeforeSend | None) -> Response | TransportError:
        last_look = _LastLook(before_send, self._now, call) if before_send is not None else None
        if before_send is not None:
            await before_send()
        check_open(self._http, call)
        self.requests_sent += 1
        sent_at = self.limit.now()
        try:
            with responses_hidden(call), before_each_write(last_look.check if last_look else None):
                async with (
                    asyncio.timeout(LONGEST_REQUEST * self.account.timeout),
                    self._http.stream(
                        **request_options(self.account, call), extensions={"trace": last_look.step} if last_look else {}
                    ) as response,
                ):
                    body = Body(response)
                    if not body.is_whole:
                        async for part in response.aiter_raw():
                            body.add(part)
        except TimeoutError:
            return transport_error(self.account, call, httpx.ReadTimeout("the response took too long as a whole"))
        except httpx.HTTPError as error:
            return transport_error(self.account, call, error)
        except NotSentError as error:
            return error
        received = body.response(response, sent_at, self.limit.now())
        self.time.see(received.served_at)
        return received

    async def _limit(self, step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.limit.blocks:
            return await asyncio.to_thread(step, *args, **kwargs)
        return step(*args, **kwargs)

    async def list_candidates(
        self, page: int = 1, limit: int = MAX_PAGE_SIZE, status: str | None = None
    ) -> Page[Candidate]:
        """Return one page of candidates (API reference, "List Candidates")."""
        return await self.run(endpoints.list_candidates(page, limit, status))

    def iter_candidates(self, status: str | None = None, limit: int = MAX_PAGE_SIZE) -> AsyncIterator[Candidate]:
        """Return all candidates, page by page as they are asked for."""
        return self._iterate(lambda page: endpoints.list_candidates(page, limit, status))

    async def get_candidate(self, candidate_id: str | int) -> Candidate:
        """Return one candidate with its details (API reference, "Get Candidate")."""
        return await self.run(endpoints.get_candidate(candidate_id))

    async def create_candidate(self, candidate: NewCandidate) -> Candidate:
        """Create a candidate (API reference, "Create Candidate"); not repeated when its response is lost."""
        return await self.run(endpoints.create_candidate(candidate))

    async def list_screenings(self, page: int = 1, limit: int = MAX_PAGE_SIZE) -> Page[Screening]:
        """Return one page of screenings (API reference, "List Screenings")."""
        return await self.run(endpoints.list_screenings(page, limit))

    def iter_screenings(self, limit: int = MAX_PAGE_SIZE) -> AsyncIterator[Screening]:
        """Return all screenings, page by page as they are asked for."""
        return self._iterate(lambda page: endpoints.list_screenings(page, limit))

    async def create_screening(self, screening: NewScreening) -> Screening:
        """Create a screening (API reference, "Create Screening"); not repeated when its response is lost."""
        return await self.run(endpoints.create_screening(screening))

    async def list_templates(self) -> list[Template]:
        """Return the screening templates (API reference, "List Templates")."""
        return (await self.run(endpoints.list_templates())).data

    async def get_report(self, screening_id: str | int) -> Report:
        """Return a completed screening's report (API reference, "Get Screening Report")."""
        return await self.run(endpoints.get_report(screening_id))

    async def _iterate(self, call: Callable[[int], Call[Page[ItemT]]]) -> AsyncIterator[ItemT]:
        pages = Pages(call(1).name)
        while pages.next is not None:
            for item in pages.take(await self.run(call(pages.next))):
                yield item


T = TypeVar("T")
R = TypeVar("R")


def run_to_end(work: Coroutine[Any, Any, R]) -> R:
    """Return what a coroutine returns, run in an event loop of its own.

    Unlike ``asyncio.run`` it leaves the thread's current event loop to whoever set it.
    """
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(work)


class _LastLook:
    """The last look at whether a request may still go, when there is a connection for it, and how long that holds.

    It is taken before each of a request's two parts: others of the event loop have their turn between the two, and
    nothing is carried out without the second.
    """

    def __init__(self, before_send: BeforeSend, now: Callable[[], float], call: Call[Any]) -> None:
        self._before_send = before_send
        self._now = now
        self._call = call
        self._holds_until = math.inf

    async def step(self, name: str, _what: object) -> None:
        """Look, as httpcore begins with either part; it awaits this at each of its steps."""
        if name in ("http11.send_request_headers.started", "http11.send_request_body.started"):
            self._holds_until = await self._before_send()
        elif name == "http11.send_request_body.complete":
            self._holds_until = math.inf  # a proxy has been asked for a tunnel, or all has gone

    def check(self) -> None:
        """Check that the look still holds. :raises NotSentError: if not."""
        if self._now() > self._holds_until:
            raise NotSentError(f"{self._call.subject} was not sent, as this process was stopped just before it.")


async def as_they_come(items: Iterable[T], work: Callable[[T], Awaitable[R]]) -> AsyncGenerator[R, None]:
    """Work on the items, 16 at once, and yield the results in the order in which they are ready.

    ``items`` is read only as fast as it is worked on. The first error ends it all.
    """
    waiting = iter(items)
    running: set[asyncio.Future[R]] = set()
    try:
        running.update(_start(waiting, work, CONCURRENCY))
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for ready in done:
                yield ready.result()
            running.update(_start(waiting, work, CONCURRENCY - len(running)))
    finally:
        for future in running:
            future.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _start(waiting: Iterator[T], work: Callable[[T], Awaitable[R]], count: int) -> list[asyncio.Future[R]]:
    return [asyncio.ensure_future(work(item)) for item in islice(waiting, count)]
