"""The fewest requests that show every screening, each of which is on a page and among a candidate's details.

With a page and a candidate for the ends of an edge, and a screening for the edge, that is a minimum vertex cover of a
bipartite graph. It has as many vertices as a maximum matching has edges, and is read off it (Kőnig's theorem).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

Graph = Mapping[int, Iterable[str]]


def cheapest_cover(places: Iterable[tuple[int, str | None]]) -> tuple[set[int], set[str]]:
    """Return the pages to read and the candidates to ask for.

    :param places: the page of each screening, and its candidate; None if the candidate is not known.
    """
    places = list(places)
    forced = {page for page, candidate in places if candidate is None}
    graph: dict[int, dict[str, None]] = {}
    for page, candidate in places:
        if page not in forced and candidate is not None:
            graph.setdefault(page, {})[candidate] = None
    page_of = _matching(graph)
    free = set(graph) - set(page_of.values())
    pages, candidates = _reachable(graph, page_of, free)
    return forced | (set(graph) - pages), candidates


def _matching(graph: Graph) -> dict[str, int]:
    """Return a maximum matching: the page that each matched candidate belongs to."""
    page_of: dict[str, int] = {}
    candidate_of: dict[int, str] = {}
    for page in graph:
        _augment(graph, page_of, candidate_of, page)
    return page_of


def _augment(graph: Graph, page_of: dict[str, int], candidate_of: dict[int, str], root: int) -> None:
    reached_from: dict[str, int] = {}
    queue = deque([root])
    while queue:
        page = queue.popleft()
        for candidate in graph[page]:
            if candidate in reached_from:
                continue
            reached_from[candidate] = page
            if candidate not in page_of:
                _flip(page_of, candidate_of, reached_from, candidate)
                return
            queue.append(page_of[candidate])


def _flip(
    page_of: dict[str, int], candidate_of: dict[int, str], reached_from: Mapping[str, int], candidate: str
) -> None:
    following: str | None = candidate
    while following is not None:
        page = reached_from[following]
        previous = candidate_of.get(page)
        page_of[following], candidate_of[page] = page, following
        following = previous


def _reachable(graph: Graph, page_of: Mapping[str, int], free: Iterable[int]) -> tuple[set[int], set[str]]:
    """Return what alternating paths from unmatched pages lead to."""
    queue = deque(free)
    pages, candidates = set(queue), set[str]()
    while queue:
        for candidate in graph[queue.popleft()]:
            candidates.add(candidate)
            page = page_of[candidate]
            if page not in pages:
                pages.add(page)
                queue.append(page)
    return pages, candidates
