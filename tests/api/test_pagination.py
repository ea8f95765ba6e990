"""Walking through lists that shift while they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx
import pytest

from pihupulse_provider.api import Account, Client, IncompleteReadError
from pihupulse_provider.sandbox import Sandbox
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


class ShrinkingService:
    """A list of rows a page, of which some go before each request, or come."""

    def __init__(
        self, rows: int, size: int, before_request: Callable[[list[str], int], object], *, tells: str = "total_count"
    ) -> None:
        self.rows = [f"s{number}" for number in range(rows)]
        self._size = size
        self._before_request = before_request
        self._tells = tells
        self.pages: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["page"])
        self.pages.append(page)
        self._before_request(self.rows, len(self.pages))
        meta = {"total_pages": -(-len(self.rows) // self._size)}
        if self._tells == "total_count":
            meta |= {"total_count": len(self.rows), "per_page": self._size, "current_page": page}
        shown = self.rows[(page - 1) * self._size : page * self._size]
        return httpx.Response(200, json={"data": [{"id": one} for one in shown], "meta": meta})


def _take_out(at: int, *places: int) -> Callable[[list[str], int], object]:
    """Return what deletes the rows in these places before one request."""

    def before_request(rows: list[str], request: int) -> None:
        if request == at:
            for place in sorted(places, reverse=True):
                del rows[place]

    return before_request


@pytest.mark.parametrize("tells", ["total_count", "total_pages"])
@pytest.mark.parametrize(
    ("at", "places"),
    [
        (2, range(1)),
        (2, range(10)),
        (3, range(15)),
        (3, range(20)),
        (5, range(35)),
        (3, [3, 11, 25, 40]),
        (4, range(25, 50)),
        (2, range(45)),
    ],
)
def test_rows_that_move_forwards_meanwhile_are_all_read(
    connect: Callable[..., Driver], at: int, places: Sequence[int], tells: str
) -> None:
    """Where only the number of pages is told, it takes a whole page less to show."""
    if tells == "total_pages" and len(places) < 10:
        return
    service = ShrinkingService(50, 10, _take_out(at, *places), tells=tells)

    found = [one.id for one in connect(Service(service)).all("iter_screenings")]

    assert not set(service.rows) - set(found)
    assert len(found) == len(set(found))
    assert len(service.pages) < 20


def test_one_row_less_costs_one_request_more(connect: Callable[..., Driver]) -> None:
    service = ShrinkingService(50, 10, _take_out(3, 0))

    connect(Service(service)).all("iter_screenings")

    assert service.pages == [1, 2, 3, 2, 4, 5]


@pytest.mark.parametrize("going", [1, 3, 5, 8, 15])
def test_list_that_gets_shorter_before_each_request_is_read(connect: Callable[..., Driver], going: int) -> None:
    def before_request(rows: list[str], _request: int) -> None:
        del rows[:going]

    service = ShrinkingService(400, 10, before_request)

    found = [one.id for one in connect(Service(service)).all("iter_screenings")]

    assert not set(service.rows) - set(found)
    assert len(found) == len(set(found))


def test_list_that_gets_shorter_and_longer_is_read(connect: Callable[..., Driver]) -> None:
    """What came meanwhile need not be read; what was there throughout has to."""

    service = ShrinkingService(200, 10, _moves_until(60))

    found = [one.id for one in connect(Service(service)).all("iter_screenings")]

    assert not {one for one in service.rows if one.startswith("s")} - set(found)


def test_list_that_moves_as_fast_as_it_is_read_is_an_error(connect: Callable[..., Driver]) -> None:
    service = ShrinkingService(200, 10, _moves_until(10**9))

    with pytest.raises(IncompleteReadError, match="GET /screenings gets shorter again and again"):
        connect(Service(service)).all("iter_screenings")
    assert len(service.pages) < 300


def _moves_until(last: int) -> Callable[[list[str], int], None]:
    """Return what deletes four rows before a request, and adds as many before the next."""

    def before_request(rows: list[str], request: int) -> None:
        if request <= last and request % 2:
            del rows[:4]
        elif request <= last:
            rows.extend(f"new{request}-{number}" for number in range(4))

    return before_request


@pytest.mark.parametrize(
    ("is_less", "ends_well"), [(lambda _page, count: count % 2, True), (lambda page, _: page % 2, False)]
)
def test_number_of_rows_that_is_one_less_now_and_then(
    connect: Callable[..., Driver], is_less: Callable[[int, int], int], ends_well: bool
) -> None:
    """As servers that do not always agree may say; where page 3 always says so, it may be that it misses a row."""
    pages: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["page"])
        pages.append(page)
        data = [{"id": f"s{page}-{number}"} for number in range(10)]
        meta = {"total_pages": 30, "total_count": 300 - is_less(page, len(pages)), "per_page": 10}
        return httpx.Response(200, json={"data": data, "meta": meta})

    driver = connect(Service(answer))
    if ends_well:
        assert len(driver.all("iter_screenings")) == 300
    else:
        with pytest.raises(
            IncompleteReadError, match="GET /screenings gets shorter again and again while page 3 of 30"
        ):
            driver.all("iter_screenings")
    assert len(pages) < 200


def test_candidates_whom_others_delete_meanwhile() -> None:
    with Sandbox(candidates=250) as sandbox, Client(Account(sandbox.api_key, sandbox.base_url)) as client:
        before = {one["id"] for one in sandbox.candidates}
        reading = client.iter_candidates()
        first = next(reading)
        sandbox.delete(first.id)

        assert before - {first.id} <= {one.id for one in reading}
