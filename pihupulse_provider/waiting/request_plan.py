"""Which requests to send next, as a pure function of what is known; and what is known from earlier rounds.

A screening is shown by the page of the list that it is on ("List Screenings") and by its candidate's details ("Get
Candidate"). The plan takes pages or candidates, whichever are fewer, and looks for what it has not seen yet where new
rows come: at the ends of the list. Costs, compared with asking for each candidate and with reading every page:

- no plan costs more than the cheaper of the two does for what is still wanted;
- a round costs at most two more than that, and no more at all once it is known where everything is;
- when the list shifts between rounds, what was not where it was is looked for on the neighbouring pages first, and
  the round costs at most three times as much.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pihupulse_provider.api.endpoints import MAX_PAGE_SIZE
from pihupulse_provider.api.models import Page, Screening

_STRIDE = 16
_SPARE = 2
"""How many pages may turn out to hold nothing that is wanted: the first and the last one."""


@dataclass
class Places:
    """Where may be seen what was not seen in this round, gathered in one pass over it.

    :ivar pages: pages not read yet on which some of it was last seen. ``pages_candidates``: the candidates of that.
    :ivar beside: pages not read yet, beside the one where it was last seen. ``beside_candidates``: the same for these.
    :ivar elsewhere_candidates: the candidates of what is on none of them.
    :ivar elsewhere: how much is on none of them.
    :ivar searched: how much of that an earlier round searched for at the ends of the list, in vain.

    A candidate is None where it is not known, or was requested already.
    """

    pages: set[int] = field(default_factory=set)
    pages_candidates: set[str | None] = field(default_factory=set)
    beside: set[int] = field(default_factory=set)
    beside_candidates: set[str | None] = field(default_factory=set)
    elsewhere_candidates: set[str | None] = field(default_factory=set)
    elsewhere: int = 0
    searched: int = 0


class Survey(NamedTuple):
    """What is known of the list in this round.

    :ivar total_pages: how many pages it has; None while that is not known.
    :ivar per_page: rows on a page.
    :ivar read: the pages read in this round, each with how many of those wanted it was the first to show.
    :ivar owners: how many candidates what was wanted at the start of the round has.
    """

    total_pages: int | None
    per_page: int
    read: Mapping[int, int]
    owners: int

    @property
    def unread(self) -> int:
        """Return how many pages were not read yet; 1 while their number is not known."""
        if self.total_pages is None:
            return 1
        return self.total_pages - sum(page <= self.total_pages for page in self.read)


class RequestPlan(NamedTuple):
    """The requests to send next, in any order; none when nothing more can be learnt."""

    pages: tuple[int, ...] = ()
    candidates: tuple[str, ...] = ()


def plan(places: Places, survey: Survey) -> RequestPlan:
    """Return the next requests of a round; it is over when there are none."""
    if places.pages:
        return _revisit(places, survey)
    if places.beside:
        return _read_beside(places, survey)
    return _search(places, survey)


def _revisit(places: Places, survey: Survey) -> RequestPlan:
    pages, candidates = places.pages, places.pages_candidates
    # What is to be searched for is asked for by candidate in either case, if its candidate is known.
    others = set() if None in places.elsewhere_candidates else places.elsewhere_candidates
    if None not in candidates and len(candidates | others) <= min(len(pages) + len(others), survey.unread):
        return RequestPlan((), _sorted(candidates | others))
    if len(pages) > 1 and not survey.read:
        # The first page alone tells by how much the list has shifted; the rest is then read in the right place.
        return RequestPlan((min(pages),))
    return RequestPlan(tuple(sorted(pages)))


def _read_beside(places: Places, survey: Survey) -> RequestPlan:
    pages, candidates = places.beside, places.beside_candidates
    # A page beside is a guess, and a candidate is not: it has to promise twice as much.
    if None not in candidates and len(candidates) <= min(2 * len(pages), survey.unread):
        return RequestPlan((), _sorted(candidates))
    return RequestPlan(tuple(sorted(pages)))


def _search(places: Places, survey: Survey) -> RequestPlan:
    candidates = None if None in places.elsewhere_candidates else _sorted(places.elsewhere_candidates)
    reads_all = candidates is None or survey.unread < len(candidates)
    if candidates is not None and not reads_all:
        spare = _SPARE + survey.owners - len(candidates) - len(survey.read)
        if spare <= 0 or len(candidates) == 1 or places.searched == places.elsewhere:
            return RequestPlan((), candidates)
    else:
        spare = survey.unread
    pages = _ends(survey) or _onwards(survey, math.ceil(places.elsewhere / survey.per_page), reads_all=reads_all)
    return RequestPlan(pages[:spare]) if pages or candidates is None else RequestPlan((), candidates)


def _ends(survey: Survey) -> tuple[int, ...]:
    ends = (1, survey.total_pages or 1)
    return tuple(page for page in ends if page not in survey.read)[:1]


def _onwards(survey: Survey, width: int, *, reads_all: bool) -> tuple[int, ...]:
    """Return the next pages from the end of the list where something was found last."""
    total = survey.total_pages or 1
    front = next((page for page in range(1, total + 1) if page not in survey.read), None)
    back = next((page for page in range(total, 0, -1) if page not in survey.read), None)
    if front is None or back is None:
        return ()
    if survey.read.get(back + 1):
        pages = range(back, 0, -1)
    elif survey.read.get(front - 1):
        pages = range(front, total + 1)
    elif reads_all:
        pages, width = range(front, total + 1), max(width, _STRIDE)
    else:
        return ()
    return tuple([page for page in pages if page not in survey.read][:width])


def _sorted(candidates: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted(map(str, candidates)))


class ListPositions:
    """Where each screening that is waited for was in the list, and whose it is.

    :ivar total_pages: how many pages the list had when last seen; None before that.
    :ivar total_count: how many rows it had; None when the service does not say.
    :ivar per_page: how many rows a page has.
    :ivar row_of: the row of the list, counted from 0, that each screening was in.
    :ivar candidate_of: the candidate of each screening, as far as known.
    :ivar searched: screenings that were searched for at the ends of the list, in vain.
    """

    def __init__(self) -> None:
        self.total_pages: int | None = None
        self.total_count: int | None = None
        self.per_page = MAX_PAGE_SIZE
        self.row_of: dict[str, int] = {}
        self.candidate_of: dict[str, str] = {}
        self.searched: set[str] = set()

    def page_of(self, screening_id: str) -> int | None:
        """Return the page that should hold a screening."""
        row = self.row_of.get(screening_id)
        if row is None or self.total_pages is None:
            return None
        return min(row // self.per_page + 1, self.total_pages)

    def measure(self, page: Page[Screening]) -> None:
        """Learn the list's size from a page; ``meta`` is believed over what was asked for."""
        self.total_pages = max(1, page.total_pages)
        self.total_count = page.meta.total_count
        self.per_page = page.meta.per_page or MAX_PAGE_SIZE

    def shift(self, rows: int, placed: Container[str]) -> None:
        """Move every screening but those already placed by so many rows."""
        for screening_id, row in self.row_of.items():
            if screening_id not in placed:
                self.row_of[screening_id] = max(0, row + rows)

    def keep(self, watched: Container[str]) -> None:
        """Forget all screenings but the watched ones."""
        self.row_of = {one: row for one, row in self.row_of.items() if one in watched}
        self.candidate_of = {one: candidate for one, candidate in self.candidate_of.items() if one in watched}
        self.searched = {one for one in self.searched if one in watched}
