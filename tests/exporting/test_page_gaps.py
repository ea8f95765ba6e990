"""The worked examples of how pages are joined are true."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pihupulse_provider.exporting import page_gaps
from pihupulse_provider.exporting.page_gaps import ListEnds, PageGaps, bridge_over


def test_the_examples_are_true():
    tried = doctest.testmod(page_gaps)
    assert tried.attempted > 10
    assert tried.failed == 0


@given(st.integers(1, 100_000), st.integers(2, 100))
def test_a_bridge_reaches_to_both_sides_of_a_gap_between_pages(number, size):
    offset = number * size
    read = bridge_over(offset, size, gap=number)
    assert 2 <= read.size < size or size <= 3
    assert read.start <= offset <= read.start + read.size


def test_pages_of_one_length_fit():
    gaps = PageGaps(2)
    for number in (1, 3, 2):
        gaps.add_page(number, rows=2, total=6, ranks={})
    assert gaps.open == []


def test_doubt_opens_what_only_lengths_vouch_for():
    gaps = PageGaps(6)
    gaps.add_page(1, rows=6, total=12, ranks={})
    gaps.add_page(2, rows=6, total=12, ranks={})
    gaps.doubt_all()
    assert [read.gap for read in gaps.open] == [1]


@pytest.mark.parametrize(
    ("before", "behind", "total", "doubted"),
    [
        (0, 0, 12, False),
        (0, 0, 9, False),
        (2, 0, 14, False),
        (2, 0, 13, True),
        (1, 1, 13, True),
        (None, 0, 12, True),
        (0, None, 12, True),
        (3, 3, None, False),
    ],
)
def test_a_list_that_gained_more_than_it_grew_has_lost_some(before, behind, total, doubted):
    ends = ListEnds(["a"], 12)
    ends.set_last(["l"], 12)
    assert ends.may_have_swapped(before, behind, total) is doubted


def test_a_list_that_changed_before_both_ends_were_known_is_doubted():
    ends = ListEnds(["a"], 12)
    ends.set_last(["l"], 13)
    assert ends.may_have_swapped(0, 0, 13)
