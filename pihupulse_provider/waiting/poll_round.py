"""One round of polling: it says what to request, takes the responses, and is run by a task or by an event loop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

from pihupulse_provider.api import endpoints
from pihupulse_provider.api.async_client import AsyncClient
from pihupulse_provider.api.client import Client
from pihupulse_provider.api.endpoints import Call
from pihupulse_provider.api.errors import BadRequestError, NotFoundError, PihuPulseError, ResponseError, ServerError
from pihupulse_provider.api.models import Candidate, Page, Screening
from pihupulse_provider.api.pagination import RepeatedPages
from pihupulse_provider.waiting.request_plan import ListPositions, Places, Survey, plan
from pihupulse_provider.waiting.wait_state import ScreeningSnapshot, snapshot_of

_LANES = 8
"""Requests in flight at once: each costs httpx a walk through all its connections, and a round has time."""


@dataclass(frozen=True)
class PageRequest:
    """A page of the list of screenings."""

    number: int
    absent: ClassVar[tuple[type[PihuPulseError], ...]] = ()

    def call(self) -> Call[Page[Screening]]:
        """Return the call to send."""
        return endpoints.list_screenings(self.number)

    def take(self, round_: PollRound, response: Any) -> None:
        """Hand the response to the round."""
        round_.take_page(self.number, response)


@dataclass(frozen=True)
class CandidateRequest:
    """A candidate's details.

    :cvar absent: the errors that say that there is no such candidate.
    """

    candidate_id: str
    absent: ClassVar[tuple[type[PihuPulseError], ...]] = (NotFoundError, BadRequestError)

    def call(self) -> Call[Candidate]:
        """Return the call to send."""
        return endpoints.get_candidate(self.candidate_id)

    def take(self, round_: PollRound, response: Any) -> None:
        """Hand the response, or None, to the round."""
        round_.take_candidate(self.candidate_id, response)


Request = PageRequest | CandidateRequest


class PollRound:
    """One round. Send all of :meth:`requests`, hand the responses to the ``take`` methods, until there are none.

    A request that fails is left out (:meth:`fail`), and what it would have shown is looked for elsewhere: a candidate
    or a page that can never be read must not keep the rest from being seen.

    :param wanted: the screenings to poll, each with its candidate's id if known.
    :param positions: what earlier rounds remember; this one adds to it.
    :param watched: further screenings that are noted when they are on a page that is read anyway.
    :ivar seen: the screenings that were seen so far.
    :ivar missing: those of ``wanted`` that PihuPulse does not show; complete once there are no more requests.
    :ivar sent: how many requests were sent and got a response.
    :ivar error: why the first of those failed that were left out; None if none was.
    """

    def __init__(
        self, wanted: Mapping[str, str | None], positions: ListPositions, watched: Container[str] = ()
    ) -> None:
        self.seen: set[str] = set()
        self.missing: set[str] = set()
        self.sent = 0
        self.error: PihuPulseError | None = None
        self._failed = 0
        self._positions = positions
        self._watched = watched
        self._owner_of = {one: positions.candidate_of.get(one, candidate) for one, candidate in wanted.items()}
        self._left = dict(self._owner_of)
        owners = set(self._left.values()) - {None}
        self._owners = len(owners) + sum(owner is None for owner in self._left.values())
        self._asked: set[str] = set()
        self._placed: set[str] = set()
        self._read: dict[int, int] = {}
        self._repeated = RepeatedPages(endpoints.list_screenings().name)
        self._fresh: list[ScreeningSnapshot] = []
        self._counts: set[int | None] = set()
        self._is_second_pass = False
        self._is_page_left_out = False

    def requests(self) -> list[Request]:
        """Return what to send next; nothing when the round is over."""
        survey = Survey(self._positions.total_pages, self._positions.per_page, self._read, self._owners)
        self._give_up(survey)
        chosen = plan(self._places(), survey)
        return [*map(PageRequest, chosen.pages), *map(CandidateRequest, chosen.candidates)]

    def take_page(self, number: int, page: Page[Screening]) -> None:
        """Take a page of the list of screenings.

        :raises IncompleteReadError: if the pages repeat themselves.
        """
        self.sent += 1
        self._repeated.check(number, page)
        before, now = self._positions.total_count, page.meta.total_count
        self._positions.measure(page)
        self._counts.add(now)
        found, shifts = self._note_rows(number, page.data)
        if shifts:
            self._follow(shifts.most_common(1)[0][0])
        elif before is not None and now is not None and self._expected_on(number):
            self._follow(now - before)
        self._read[number] = found

    def take_candidate(self, candidate_id: str, candidate: Candidate | None) -> None:
        """Take a candidate's details; None if there is no such candidate."""
        self.sent += 1
        self._asked.add(candidate_id)
        shown = candidate.screenings if candidate is not None else []
        for screening in shown or ():
            if self._is_watched(screening.id):
                self._see(snapshot_of(screening, candidate_id))
        for screening_id in self._of_candidate.get(candidate_id, ()):
            if 1 in self._read:
                self._positions.searched.add(screening_id)
            if shown is not None and screening_id in self._left:
                del self._left[screening_id]
                self.missing.add(screening_id)

    def fail(self, request: Request, error: PihuPulseError) -> None:
        """Leave a request out that failed for good.

        :raises PihuPulseError: that error, if it is not about this one request, or if more fail than not.
        """
        self._failed += 1
        is_of_request = isinstance(error, ServerError | ResponseError)
        if not is_of_request or self._failed > self.sent + 1:
            raise error
        self.error = self.error or error
        if isinstance(request, CandidateRequest):
            self._asked.add(request.candidate_id)
            return
        # From now on the list is no proof that a screening is gone.
        self._read[request.number] = 0
        self._is_page_left_out = True

    def drain(self) -> list[ScreeningSnapshot]:
        """Return what was seen since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    @cached_property
    def _of_candidate(self) -> Mapping[str, Sequence[str]]:
        """Return the screenings of each candidate, once the first was asked for: mostly none is."""
        found: dict[str, list[str]] = {}
        for screening_id, candidate_id in self._owner_of.items():
            if candidate_id is not None:
                found.setdefault(candidate_id, []).append(screening_id)
        return found

    def _places(self) -> Places:
        places = Places()
        for screening_id, owner in self._left.items():
            candidate_id = None if owner in self._asked else owner
            page = self._positions.page_of(screening_id)
            if page is not None and page not in self._read:
                places.pages.add(page)
                places.pages_candidates.add(candidate_id)
            elif page is not None and (beside := self._unread_beside(page)) is not None:
                places.beside.add(beside)
                places.beside_candidates.add(candidate_id)
            else:
                places.elsewhere += 1
                places.elsewhere_candidates.add(candidate_id)
                places.searched += page is None and screening_id in self._positions.searched
        return places

    def _unread_beside(self, page: int) -> int | None:
        pages = (one for one in (page + 1, page - 1) if 1 <= one <= (self._positions.total_pages or 1))
        return next((one for one in pages if one not in self._read), None)

    def _give_up(self, survey: Survey) -> None:
        """Give up what no request can show any more, after a second pass if the list changed under the first.

        It is missing if the list was read whole and did not change meanwhile; else it may have moved past the reading.
        """
        if survey.unread > 0:
            return
        lost = [one for one, candidate in self._left.items() if candidate is None or candidate in self._asked]
        has_changed = len(self._counts) > 1
        if lost and has_changed and not self._is_second_pass and not self._is_page_left_out:
            self._is_second_pass = True
            self._read.clear()
            self._counts.clear()
            self._repeated = RepeatedPages(endpoints.list_screenings().name)
            return
        if not has_changed and not self._is_page_left_out:
            self.missing.update(lost)
        for screening_id in lost:
            del self._left[screening_id]

    def _expected_on(self, number: int) -> bool:
        return any(self._positions.page_of(one) == number for one in self._left)

    def _note_rows(self, number: int, rows: Iterable[Screening]) -> tuple[int, Counter[int]]:
        """Return how many wanted screenings are among the rows, and by how much known ones have moved."""
        first = (number - 1) * self._positions.per_page
        found = 0
        shifts: Counter[int] = Counter()
        for row, screening in enumerate(rows, first):
            if not self._is_watched(screening.id):
                continue
            found += screening.id in self._left
            if screening.id in self._positions.row_of and screening.id not in self._placed:
                shifts[row - self._positions.row_of[screening.id]] += 1
            self._positions.row_of[screening.id] = row
            self._placed.add(screening.id)
            self._see(snapshot_of(screening, screening.candidate_id))
        return found, shifts

    def _follow(self, shift: int) -> None:
        if shift:
            self._positions.shift(shift, self._placed)

    def _is_watched(self, screening_id: str) -> bool:
        return screening_id in self._left or screening_id in self._watched

    def _see(self, snapshot: ScreeningSnapshot) -> None:
        self.seen.add(snapshot.screening_id)
        if snapshot.candidate_id is not None:
            self._positions.candidate_of[snapshot.screening_id] = snapshot.candidate_id
        self._fresh.append(snapshot)
        self._left.pop(snapshot.screening_id, None)


ReadPage = Callable[[int, Callable[[], Page[Screening]]], Page[Screening]]
"""Returns the page of that number, or what the function requests."""


def run_round(client: Client, round_: PollRound, read_page: ReadPage = lambda _number, request: request()) -> None:
    """Carry out a whole round, one request after the other.

    :param read_page: gets the pages, if need be by a request.
    :raises PihuPulseError: when the round is broken off; what was seen until then stays in it.
    """
    while requests := round_.requests():
        for request in requests:
            call: Call[Any] = request.call()
            send = partial(client.run, call, poll=True)
            try:
                response = read_page(request.number, send) if isinstance(request, PageRequest) else send()
            except request.absent:
                response = None
            except PihuPulseError as error:
                round_.fail(request, error)
                continue
            request.take(round_, response)


async def run_round_async(client: AsyncClient, round_: PollRound, progress: Callable[[], None]) -> None:
    """Carry out a whole round, some requests at once and without blocking the event loop.

    :param progress: called after every response.
    :raises PihuPulseError: when the round is broken off; what was seen until then stays in it.
    """
    lanes = asyncio.Semaphore(_LANES)

    async def send(request: Request) -> None:
        call: Call[Any] = request.call()
        async with lanes:
            try:
                response = await client.run(call, poll=True)
            except request.absent:
                response = None
            except PihuPulseError as error:
                round_.fail(request, error)
                return
        request.take(round_, response)
        progress()

    while requests := round_.requests():
        try:
            async with asyncio.TaskGroup() as group:
                for request in requests:
                    group.create_task(send(request))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
