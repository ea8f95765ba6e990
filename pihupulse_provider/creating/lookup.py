"""Finding what was created lately with nothing but lists, in as few pages as their order allows.

The reference has no search, and says nothing of the order of lists (API reference, "List Candidates", "List
Screenings"). Each walk is a generator: it says which page to read, and gets the page; a driver asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from enum import Enum
from itertools import pairwise
from typing import TypeAlias

from pihupulse_provider.api.models import Candidate, ItemT, Page
from pihupulse_provider.api.server_time import ServerTime

Walk: TypeAlias = Generator[int, Page[ItemT], None]


class Order(Enum):
    """How a list of candidates is sorted."""

    OLDEST_FIRST = "oldest first"
    NEWEST_FIRST = "newest first"
    UNKNOWN = "unknown"


def order_of(candidates: Iterable[Candidate]) -> Order:
    """Return the order that these rows of a list show; rows of one and the same moment show none."""
    moments = [candidate.created_at for candidate in candidates if candidate.created_at is not None]
    if len(moments) < 2 or moments[0] == moments[-1]:
        return Order.UNKNOWN
    pairs = list(pairwise(moments))
    if all(earlier <= later for earlier, later in pairs):
        return Order.OLDEST_FIRST
    if all(earlier >= later for earlier, later in pairs):
        return Order.NEWEST_FIRST
    return Order.UNKNOWN


def recent_candidates(since: float | None, time: ServerTime, take: Callable[[Candidate], None]) -> Walk[Candidate]:
    """Walk over all candidates created since a moment (our epoch seconds), and some older ones.

    :param since: None for all candidates.
    :param take: gets each candidate, some of them more than once.
    """
    first = yield 1
    pages = [first]
    if order_of(first.data) is Order.UNKNOWN and since is not None and first.total_pages > 1:
        pages.append((yield first.total_pages))
    order = order_of(candidate for page in pages for candidate in page.data)
    for page in pages:
        time.see(page.served_at)
        for candidate in page.data:
            take(candidate)
    if order is Order.NEWEST_FIRST and _reaches_back(first, since, time):
        return
    if order is Order.OLDEST_FIRST:
        yield from _backwards(first, since, time, take)
    else:
        yield from _forwards(first, since if order is Order.NEWEST_FIRST else None, time, take)


def advance(walk: Walk[ItemT], page: Page[ItemT]) -> int | None:
    """Give a walk the page it asked for, and return the next one; None at its end."""
    try:
        return walk.send(page)
    except StopIteration:
        return None


def every_page_from_both_ends(take: Callable[[Page[ItemT]], bool]) -> Walk[ItemT]:
    """Walk over a list whose newest rows are at an unknown end, until ``take`` returns True."""
    first = yield 1
    if take(first):
        return
    front, back = 2, first.total_pages
    while front <= back:
        if take((yield back)):
            return
        back -= 1
        if front <= back and take((yield front)):
            return
        front += 1


def _backwards(
    first: Page[Candidate], since: float | None, time: ServerTime, take: Callable[[Candidate], None]
) -> Walk[Candidate]:
    # New rows come at the end and a removed one moves others towards the pages still to be read: none is missed.
    for number in range(first.total_pages, 1, -1):
        page = yield number
        for candidate in page.data:
            take(candidate)
        if order_of(page.data) is not Order.NEWEST_FIRST and _reaches_back(page, since, time):
            return


def _forwards(
    first: Page[Candidate], since: float | None, time: ServerTime, take: Callable[[Candidate], None]
) -> Walk[Candidate]:
    number, last, total = 2, first.total_pages, first.meta.total_count
    while number <= last:
        page = yield number
        for candidate in page.data:
            take(candidate)
        if total is not None and page.meta.total_count is not None and page.meta.total_count < total:
            # A removed row has moved the ones behind it a place forwards, perhaps from this page to the one before.
            for candidate in (yield number - 1).data:
                take(candidate)
        total = page.meta.total_count
        if _reaches_back(page, since, time):
            return
        last = max(last, page.total_pages)
        number += 1


def _reaches_back(page: Page[Candidate], since: float | None, time: ServerTime) -> bool:
    return any(time.is_before(candidate.created_at, since) for candidate in page.data)
