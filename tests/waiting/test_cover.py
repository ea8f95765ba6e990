"""The cheapest cover against trying everything."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from pihupulse_provider.waiting.cover import cheapest_cover

PLACES = st.lists(st.tuples(st.integers(1, 5), st.sampled_from([None, "a", "b", "c", "d"])), max_size=12)


def cheapest_by_trying(places):
    vertices = sorted({("page", page) for page, _ in places} | {("one", one) for _, one in places if one})
    for size in range(len(vertices) + 1):
        for chosen in map(set, combinations(vertices, size)):
            if all(("page", page) in chosen or ("one", one) in chosen for page, one in places):
                return size
    raise AssertionError


@given(PLACES)
def test_covers_every_place_with_the_fewest_requests(places):
    pages, candidates = cheapest_cover(places)
    assert all(page in pages or candidate in candidates for page, candidate in places)
    assert len(pages) + len(candidates) == cheapest_by_trying(places)


def test_one_candidate_with_screenings_on_many_pages_is_asked_for():
    places = [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (4, "c"), (4, "d")]
    assert cheapest_cover(places) == ({4}, {"a"})


def test_a_thousand_screenings_side_by_side_take_their_ten_pages():
    places = [(number // 100 + 1, f"c{number}") for number in range(1000)]
    assert cheapest_cover(places) == (set(range(1, 11)), set())
