"""Walking through lists that shift while they are read."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from pihupulse_provider.api import IncompleteReadError
from tests.api.drivers import Driver, Service


def _page(ids: list[str], total_pages: int | None = None, **more: int) -> httpx.Response:
    meta = {} if total_pages is None else {"meta": {"total_pages": total_pages, **more}}
    return httpx.Response(200, json={"data": [{"id": one} for one in ids], **meta})


def test_every_page_is_read_in_turn(connect: Callable[..., Driver]) -> None:
    service = Service(_page(["c1", "c2"], 3), _page(["c3", "c4"], 3), _page(["c5"], 3))

    found = connect(service).all("iter_candidates", status="all", limit=2)

    assert [one.id for one in found] == ["c1", "c2", "c3", "c4", "c5"]
    assert [dict(request.url.params) for request in service.requests] == [
        {"page": str(page), "limit": "2", "status": "all"} for page in (1, 2, 3)
    ]


def test_row_that_moved_to_a_later_page_comes_once(connect: Callable[..., Driver]) -> None:
    service = Service(_page(["s2", "s1"], 2), _page(["s1", "s0"], 2))

    assert [one.id for one in connect(service).all("iter_screenings")] == ["s2", "s1", "s0"]


def test_list_that_grows_is_read_to_its_new_end(connect: Callable[..., Driver]) -> None:
    service = Service(_page(["s1"], 2), _page(["s2"], 3), _page(["s3"], 3))

    assert [one.id for one in connect(service).all("iter_screenings")] == ["s1", "s2", "s3"]


def test_list_that_shrinks_ends_at_its_first_empty_page(connect: Callable[..., Driver]) -> None:
    service = Service(_page(["s1"], 9), _page([], 9))

    assert [one.id for one in connect(service).all("iter_screenings")] == ["s1"]
    assert len(service.requests) == 2


def test_list_without_meta_is_one_page(connect: Callable[..., Driver]) -> None:
    service = Service(_page(["s1", "s2"]))

    assert len(connect(service).all("iter_screenings")) == 2
    assert len(service.requests) == 1


def test_pages_are_only_read_when_asked_for(connect: Callable[..., Driver]) -> None:
    service = Service(_page(["s1", "s2"], 5))

    connect(service).all("iter_screenings", most=2)

    assert len(service.requests) == 1


@pytest.mark.parametrize("pages", [10**9, 10**18])
def test_a_number_of_pages_that_cannot_be_is_not_believed(connect: Callable[..., Driver], pages: int) -> None:
    """The rows that the list says it has fill two pages."""
    service = Service(*[_page([one], pages, total_count=2, per_page=1) for one in ("s1", "s2")])
    assert [one.id for one in connect(service).all("iter_screenings")] == ["s1", "s2"]
    assert len(service.requests) == 2


@pytest.mark.parametrize("cycle", [1, 3])
def test_pages_that_repeat_the_same_rows_for_ever_are_an_error(connect: Callable[..., Driver], cycle: int) -> None:
    """A list that was cut short without a word would miss whoever is on the pages that were asked for."""
    service = Service(*[_page([f"s{number % cycle}"], 10**9) for number in range(50)])

    with pytest.raises(IncompleteReadError, match="GET /screenings gives the same pages again and again"):
        connect(service).all("iter_screenings")
    assert len(service.requests) < 20


def test_pages_that_repeat_while_the_list_seems_to_grow_are_an_error(connect: Callable[..., Driver]) -> None:
    service = Service(*[_page(["s1"], 2 + number) for number in range(50)])

    with pytest.raises(IncompleteReadError):
        connect(service).all("iter_screenings")
    assert len(service.requests) < 20


def test_rows_that_many_new_ones_move_by_whole_pages_are_all_read(connect: Callable[..., Driver]) -> None:
    """Twenty pages of new rows come to the front of a list of forty, half of which was read."""
    pages = [_page([f"s{number}"], 40) for number in range(20)]
    moved = [_page([f"s{number}"], 60) for number in range(40)]

    found = connect(Service(*pages, *moved)).all("iter_screenings")

    assert [one.id for one in found] == [f"s{number}" for number in range(40)]
