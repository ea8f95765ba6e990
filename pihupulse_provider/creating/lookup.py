"""Finding what was created lately with nothing but lists and details, in as few requests as their order allows.

The reference has no search, and says nothing of the order of lists (API reference, "List Candidates", "List
Screenings"). A walk is a generator: it says which page to read, and gets the page; :func:`_read` asks for it.

    pages 1 to 40, oldest first, something lost 5 seconds ago:  1, 40, and 39 if all of 40 is newer than that
    newest first:                                               1, and 2 if all of 1 is newer than that
    in no order, or in another on a later page:                 1, 40, and then the whole list
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Generator, Iterable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from enum import Enum
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from pihupulse_provider.api import endpoints
from pihupulse_provider.api.async_client import AsyncClient, as_they_come
from pihupulse_provider.api.clock import SERVER_TIME_MARGIN
from pihupulse_provider.api.endpoints import Call
from pihupulse_provider.api.errors import IncompleteReadError, NotFoundError, UnconfirmedCreateError
from pihupulse_provider.api.models import Candidate, CandidateScreening, ItemT, Page, Screening
from pihupulse_provider.api.pagination import RepeatedPages
from pihupulse_provider.creating.candidate_input import email_key
from pihupulse_provider.exporting.list_reader import ListReader

Walk: TypeAlias = Generator[int, Page[ItemT], None]
Since: TypeAlias = Callable[[], float]
"""Returns a moment in epoch seconds of the service's clock; it is asked after a response, which may tell that clock."""
_MOST_STEPS_BACK = 10
"""How often a walk goes back a page before the whole list is read: that finds its way wherever rows are removed."""
_LONG = 3600.0
"""Seconds that the service's clock and ours are not apart, if no response tells."""


class Order(Enum):
    """How a list of candidates is sorted."""

    OLDEST_FIRST = "oldest first"
    NEWEST_FIRST = "newest first"
    UNKNOWN = "unknown"


class FoundScreening(NamedTuple):
    """A screening, and when its candidate was created, where that was seen."""

    screening: Screening
    candidate_created_at: datetime | None = None


def order_of(candidates: Iterable[Candidate]) -> Order:
    """Return the order that these rows of a list show; rows of one and the same moment show none."""
    moments = [candidate.created_at for candidate in candidates if candidate.created_at is not None]
    if len(moments) < 2 or moments[0] == moments[-1]:
        return Order.UNKNOWN
    rising = moments[0] < moments[-1]
    pairs = pairwise(moments if rising else reversed(moments))
    if all(earlier <= later for earlier, later in pairs):
        return Order.OLDEST_FIRST if rising else Order.NEWEST_FIRST
    return Order.UNKNOWN


async def find_candidates(client: AsyncClient, since: Since | None) -> AsyncGenerator[list[Candidate], None]:
    """Yield all candidates created since a moment (None for all), and some older ones.

    Some of them may come more than once.
    """
    if since is not None:
        first = await client.run(_candidates(1))
        yield first.data
        seen = list(first.data)
        if order_of(seen) is Order.UNKNOWN and first.total_pages > 1:
            seen += (await client.run(_candidates(first.total_pages))).data
        order = order_of(seen)
        if first.total_pages == 1:
            return
        if order is not Order.UNKNOWN:
            walk = _backwards(first, since) if order is Order.OLDEST_FIRST else _forwards(first, since)
            with suppress(IncompleteReadError):
                async for page in _read(client, walk, _candidates):
                    yield page.data
                return
    async with aclosing(ListReader(client, _candidates).rows()) as lists:
        async for candidates in lists:
            yield candidates


def _candidates(page: int, limit: int = endpoints.MAX_PAGE_SIZE) -> Call[Page[Candidate]]:
    return endpoints.list_candidates(page, limit, "all")


async def find_candidate(client: AsyncClient, email: str) -> Candidate | None:
    """Return a candidate with an e-mail address, and close the client; None if there is none."""
    wanted = email_key(email)
    async with client, aclosing(find_candidates(client, None)) as pages:
        async for candidates in pages:
            for one in candidates:
                if one.email is not None and email_key(one.email) == wanted:
                    return one
    return None


class ScreeningSearch:
    """Finds screenings by what is cheaper: the details of their candidates, or the list of all screenings.

    A candidate's details tell the ids of its screenings, but not their templates; those are in the list. So where no
    candidate has a new one, the list is not read at all.
    """

    def __init__(self) -> None:
        self._pages: int | None = None

    async def find(
        self,
        client: AsyncClient,
        candidate_ids: Sequence[str] | None,
        since: Since | None,
        is_new: Callable[[Collection[str]], set[str]],
    ) -> AsyncIterator[list[FoundScreening]]:
        """Yield the screenings of these candidates, and perhaps others; None for everybody's.

        :param since: what was completed long before then may be left out.
        :param is_new: returns which of some ids were not known before; the others may be left out.
        :raises UnconfirmedCreateError: if a candidate's details name screenings that the list does not show.
        """
        owners: dict[str, datetime | None] | None = None
        if candidate_ids is not None and await self._is_cheaper(client, len(candidate_ids)):
            owners = await _owners(client, candidate_ids, since)
        if owners is None:
            async for screenings in ListReader(client, endpoints.list_screenings).rows():
                yield [FoundScreening(one) for one in screenings]
            return
        wanted = is_new(owners.keys())
        found = await self.listed(client, wanted)
        if missing := sorted(wanted - found.keys()):
            raise UnconfirmedCreateError(
                f"There are screenings that the list does not show ({', '.join(missing[:10])}), so nobody can say "
                "which templates they are of, and whether this one exists already. Nothing was created for them. A "
                "retry of the task looks again."
            )
        yield [FoundScreening(one, owners[one.id]) for one in found.values()]

    async def _is_cheaper(self, client: AsyncClient, candidates: int) -> bool:
        if candidates > 1 and self._pages is None:
            self._pages = (await client.run(endpoints.list_screenings())).total_pages
        return candidates <= (self._pages or 1)

    async def listed(self, client: AsyncClient, wanted: set[str]) -> dict[str, Screening]:
        """Return those of some screenings that the list shows, by their ids."""
        found: dict[str, Screening] = {}
        if not wanted:
            return found
        async for page in _read(client, _from_both_ends(), endpoints.list_screenings):
            self._pages = page.total_pages
            found.update({one.id: one for one in page.data if one.id in wanted})
            if wanted <= found.keys():
                return found
        async for screenings in ListReader(client, endpoints.list_screenings).rows():
            found.update({one.id: one for one in screenings if one.id in wanted})
        return found


async def _owners(
    client: AsyncClient, candidate_ids: Sequence[str], since: Since | None
) -> dict[str, datetime | None] | None:
    """Return the ids of their screenings, each with when its candidate was created; None: not shown."""
    owners: dict[str, datetime | None] = {}
    async for created_at, screenings in as_they_come(candidate_ids, lambda one: _details(client, one)):
        if screenings is None:
            return None
        owners.update({one.id: created_at for one in screenings if not _is_long_done(one, since)})
    return owners


async def _details(
    client: AsyncClient, candidate_id: str
) -> tuple[datetime | None, Sequence[CandidateScreening] | None]:
    try:
        candidate = await client.get_candidate(candidate_id)
    except NotFoundError:
        return None, []
    return candidate.created_at, candidate.screenings


def _is_long_done(screening: CandidateScreening, since: Since | None) -> bool:
    done = screening.completed_at
    return done is not None and since is not None and done.timestamp() < since() - _LONG


async def _read(
    client: AsyncClient, walk: Walk[ItemT], call: Callable[[int], Call[Page[ItemT]]]
) -> AsyncIterator[Page[ItemT]]:
    number, repeated = next(walk, None), RepeatedPages(call(1).name)
    while number is not None:
        page = await client.run(call(number))
        repeated.check(number, page)
        yield page
        try:
            number = walk.send(page)
        except StopIteration:
            number = None


def _from_both_ends() -> Walk[ItemT]:
    """Walk over a list whose newest rows are at an unknown end."""
    first = yield 1
    front, back = 2, first.total_pages
    while front <= back:
        yield back
        back -= 1
        if front <= back:
            yield front
        front += 1


def _backwards(first: Page[Candidate], since: Since) -> Walk[Candidate]:
    # New rows come at the end and a removed one moves others towards the pages still to be read: none is missed, once
    # the first page was read last.
    for number in range(first.total_pages, 0, -1):
        page = yield number
        _check_order(page, Order.OLDEST_FIRST)
        if _reaches_back(page, since):
            return


def _forwards(first: Page[Candidate], since: Since) -> Walk[Candidate]:
    """Walk away from the newest rows, and back a page where some may have slipped between two of them.

    Removed rows move the ones behind them forwards, perhaps from a page still to be read to one that was: then the list
    is shorter than it was. So a page is taken if it is not, or if the page shares a row with those taken before.
    """
    page, number, steps_back = first, 1, 0
    taken: set[str] = set()
    while True:
        taken |= {one.id for one in page.data}
        total = page.meta.total_count
        if number >= page.total_pages or _reaches_back(page, since):
            return
        if total is None:
            raise IncompleteReadError("The list does not tell whether it was shortened.")
        number += 1
        page = yield number
        while number > 1 and _is_shorter(page, total) and taken.isdisjoint(one.id for one in page.data):
            steps_back += 1
            if steps_back > _MOST_STEPS_BACK:
                raise IncompleteReadError("The list is shortened faster than it is read.")
            number -= 1
            page = yield number
        _check_order(page, Order.NEWEST_FIRST)


def _is_shorter(page: Page[Candidate], total: int) -> bool:
    now = page.meta.total_count
    return now is None or now < total


def _check_order(page: Page[Candidate], order: Order) -> None:
    if order_of(page.data) is not order and len({one.created_at for one in page.data}) > 1:
        raise IncompleteReadError("The list is in another order than its first page.")


def _reaches_back(page: Page[Candidate], since: Since) -> bool:
    surely_before = since() - SERVER_TIME_MARGIN
    return any(one.created_at is not None and one.created_at.timestamp() < surely_before for one in page.data)
