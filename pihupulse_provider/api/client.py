"""The blocking client."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import httpx

from pihupulse_provider.api import endpoints
from pihupulse_provider.api.account import Account
from pihupulse_provider.api.endpoints import MAX_PAGE_SIZE, Call, ResultT
from pihupulse_provider.api.errors import TransportError
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
from pihupulse_provider.api.network import DeadlineTransport
from pihupulse_provider.api.pagination import Pages
from pihupulse_provider.api.rate_limit import MINUTE, Slot
from pihupulse_provider.api.response import Response
from pihupulse_provider.api.retry import Exchanges, Observe, Reserve, RetryPolicy, Send, Sleep
from pihupulse_provider.api.transport import (
    LONGEST_REQUEST,
    Body,
    check_open,
    client_options,
    request_options,
    responses_hidden,
    transport_error,
    transport_options,
)

__all__ = ["Client"]


class Client:
    """PihuPulse, blocking. Safe to share between threads; closes its connections when it is collected at the latest.

    :param account: whom to talk to.
    :param limit: the account's rate limit; None for the one that all clients in this process share.
    :param retry: when to send again.
    :param transport: what carries the requests; None for the network.
    :param sleep: waits that many seconds.
    """

    def __init__(
        self,
        account: Account,
        *,
        limit: RateLimit | None = None,
        retry: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.account = account
        self.limit = limit or process_rate_limit(account.key, account.plan)
        self._exchanges = Exchanges(retry or RetryPolicy(), self.limit.now, account.key_place)
        self._sleep = sleep
        transport = transport or DeadlineTransport(**transport_options(account))
        self._within = transport.within if isinstance(transport, DeadlineTransport) else nullcontext
        self._http = httpx.Client(transport=transport, **client_options(account))
        self._closer = weakref.finalize(self, self._http.close)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_closed(self) -> bool:
        """Return whether it was closed, so that it sends nothing any more."""
        return self._http.is_closed

    def close(self) -> None:
        """Close the connections."""
        self._closer()

    def run(self, call: Call[ResultT], *, poll: bool = False) -> ResultT:
        """Carry out a call of :mod:`pihupulse_provider.api.endpoints`.

        :param poll: whether it only looks whether something has happened, and so gives way to other work.
        :raises PihuPulseError: a subclass that says what went wrong.
        """
        check_open(self._http, call)
        steps = self._exchanges.start(call, poll=poll)
        reply: Any = None
        try:
            while True:
                reply = self._do(steps.send(reply))
        except StopIteration as end:
            result: ResultT = end.value
            return result

    def _do(self, step: Reserve | Send | Observe | Sleep) -> Any:
        match step:
            case Reserve():
                return self._reserve(poll=step.poll)
            case Send():
                return self._send(step.call)
            case Observe():
                return self.limit.observe(step.slot, step.headers)
            case Sleep():
                return self._sleep(step.seconds)

    def _reserve(self, *, poll: bool) -> Slot:
        while True:
            slot = self.limit.reserve(poll=poll)
            if (wait := min(slot.at - self.limit.now(), MINUTE)) > 0:
                self._sleep(wait)
            if slot.taken and not self.limit.is_void(slot):
                return slot

    def _send(self, call: Call[Any]) -> Response | TransportError:
        check_open(self._http, call)
        sent_at = self.limit.now()
        try:
            with (
                responses_hidden(call),
                self._within(LONGEST_REQUEST * self.account.timeout),
                self._http.stream(**request_options(self.account, call)) as response,
            ):
                body = Body(response)
                if not body.is_whole:
                    for part in response.iter_raw():
                        body.add(part)
        except httpx.HTTPError as error:
            return transport_error(self.account, call, error)
        return body.response(response, sent_at, self.limit.now())

    def list_candidates(self, page: int = 1, limit: int = MAX_PAGE_SIZE, status: str | None = None) -> Page[Candidate]:
        """Return one page of candidates (API reference, "List Candidates")."""
        return self.run(endpoints.list_candidates(page, limit, status))

    def iter_candidates(self, status: str | None = None, limit: int = MAX_PAGE_SIZE) -> Iterator[Candidate]:
        """Return all candidates, page by page as they are asked for."""
        return self._iterate(lambda page: endpoints.list_candidates(page, limit, status))

    def get_candidate(self, candidate_id: str | int) -> Candidate:
        """Return one candidate with its details (API reference, "Get Candidate")."""
        return self.run(endpoints.get_candidate(candidate_id))

    def create_candidate(self, candidate: NewCandidate) -> Candidate:
        """Create a candidate (API reference, "Create Candidate"); not repeated when its response is lost."""
        return self.run(endpoints.create_candidate(candidate))

    def list_screenings(self, page: int = 1, limit: int = MAX_PAGE_SIZE) -> Page[Screening]:
        """Return one page of screenings (API reference, "List Screenings")."""
        return self.run(endpoints.list_screenings(page, limit))

    def iter_screenings(self, limit: int = MAX_PAGE_SIZE) -> Iterator[Screening]:
        """Return all screenings, page by page as they are asked for."""
        return self._iterate(lambda page: endpoints.list_screenings(page, limit))

    def create_screening(self, screening: NewScreening) -> Screening:
        """Create a screening (API reference, "Create Screening"); not repeated when its response is lost."""
        return self.run(endpoints.create_screening(screening))

    def list_templates(self) -> list[Template]:
        """Return the screening templates (API reference, "List Templates")."""
        return self.run(endpoints.list_templates()).data

    def get_report(self, screening_id: str | int) -> Report:
        """Return a completed screening's report (API reference, "Get Screening Report")."""
        return self.run(endpoints.get_report(screening_id))

    def _iterate(self, call: Callable[[int], Call[Page[ItemT]]]) -> Iterator[ItemT]:
        pages = Pages(call(1).name)
        while pages.next is not None:
            yield from pages.take(self.run(call(pages.next)))
