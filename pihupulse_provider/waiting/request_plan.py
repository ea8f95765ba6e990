"""Which requests to send next, as a pure function of what is known.

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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

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
    :ivar read: the pages read in this round, and how much of what is wanted each showed first.
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
    return _search(places, survey) if places.elsewhere else RequestPlan()


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
    sweeping = candidates is None or survey.unread < len(candidates)
    if candidates is not None and not sweeping:
        spare = _SPARE + survey.owners - len(candidates) - len(survey.read)
        if spare <= 0 or len(candidates) == 1 or places.searched == places.elsewhere:
            return RequestPlan((), candidates)
    else:
        spare = survey.unread
    pages = _ends(survey) or _onwards(survey, math.ceil(places.elsewhere / survey.per_page), sweeping=sweeping)
    return RequestPlan(pages[:spare]) if pages or candidates is None else RequestPlan((), candidates)


def _ends(survey: Survey) -> tuple[int, ...]:
    ends = (1, survey.total_pages or 1)
    return tuple(page for page in ends if page not in survey.read)[:1]


def _onwards(survey: Survey, width: int, *, sweeping: bool) -> tuple[int, ...]:
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
    elif sweeping:
        pages, width = range(front, total + 1), max(width, _STRIDE)
    else:
        return ()
    return tuple([page for page in pages if page not in survey.read][:width])


def _sorted(candidates: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted(map(str, candidates)))
