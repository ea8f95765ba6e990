"""Reading a whole list quickly although it shifts: every row that was there throughout comes out exactly once.

An example: the list has 250 rows, three pages of a hundred.

1. Page 1 tells that there are three pages. Its rows are yielded, and their places kept in a temporary table ``seen``.
2. Page 3 is read, only to remember the list's last row of this moment; then pages 2 and 3, at the same time.
3. Pages that do not fit together are joined: :mod:`page_gaps` says which pages to read for that.
4. Where are the first and the last row of the beginning now? One page at each end tells, unless they moved further.
   If rows came while others went, all pages are joined that only their lengths vouch for.
5. As many different rows were seen as the list had at its shortest: done. Otherwise it is read again, twice at most,
   and only rows that were not seen are yielded.

A list at rest costs its pages and three requests more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from datetime import datetime
from typing import Generic

from pihupulse_provider.api.async_client import AsyncClient, as_they_come
from pihupulse_provider.api.endpoints import MAX_PAGE_SIZE, Call
from pihupulse_provider.api.errors import IncompleteReadError
from pihupulse_provider.api.models import ItemT, Page
from pihupulse_provider.api.pagination import RepeatedPages
from pihupulse_provider.exporting.page_gaps import ListEnds, PageGaps, Read
from pihupulse_provider.exporting.temporary_database import TemporaryDatabase

_PASSES = 3
_END_PAGES = 5
"""How many pages the rows gained at one end may fill before it is cheaper to doubt every gap."""

ListCall = Callable[[int, int], Call[Page[ItemT]]]
"""Makes the call for a page from its number and its size."""


class ListReader(Generic[ItemT]):
    """One reading of a whole list, 16 pages at once, in memory that does not grow with it.

    :param client: reads it. :param call: makes the call for one page.
    :param rows_return: whether rows come and go in its middle too, as in a list by status: then all pages are joined.
    :ivar served_at: the service's time when the reading began; None when it does not say.
    :ivar total: how many rows the list has, as it said last; None when it does not say.
    """

    def __init__(self, client: AsyncClient, call: ListCall[ItemT], *, rows_return: bool = False) -> None:
        self._client = client
        self._call = call
        self._rows_return = rows_return
        self._next = 1
        self._last = 1
        self._gaps = PageGaps(MAX_PAGE_SIZE)
        self._repeated = RepeatedPages(self._name)
        self.served_at: datetime | None = None
        self.total: int | None = None

    async def rows(self) -> AsyncGenerator[list[ItemT], None]:
        """Yield the rows, some at a time, each once.

        :raises IncompleteReadError: if the list changes too fast to be pinned down, or repeats its pages.
        """
        with TemporaryDatabase("CREATE TABLE seen (id TEXT PRIMARY KEY, rank INTEGER) WITHOUT ROWID") as seen:
            for _ in range(_PASSES):
                # Whoever stops early closes the client next: nothing may be on its way then.
                async with aclosing(self._pass(seen)) as passed:
                    async for rows in passed:
                        yield rows
                if seen.value("SELECT count(*) FROM seen") >= (self._gaps.lowest_total or 0):
                    return
                seen.run("UPDATE seen SET rank = NULL")
        raise IncompleteReadError(
            f"{self._name} was read {_PASSES} times and never gave as many different rows as it says it has. "
            "Try again when the account is less busy."
        )

    @property
    def _name(self) -> str:
        return self._call(1, 1).name

    async def _pass(self, seen: TemporaryDatabase) -> AsyncGenerator[list[ItemT], None]:
        first = await self._read(Read(1, MAX_PAGE_SIZE))
        size = first.meta.per_page or MAX_PAGE_SIZE
        self.served_at = self.served_at or first.served_at
        self._gaps, self._repeated = PageGaps(size), RepeatedPages(self._name)
        if self._rows_return:
            self._gaps.doubt_all()
        self._next, self._last = 2, first.total_pages
        ends = ListEnds(_ids(first), first.meta.total_count)
        yield self._take(seen, Read(1, size), first)
        at_the_end = Read(first.total_pages, size)
        async with aclosing(as_they_come(self._with_end(at_the_end), self._with_page)) as pages:
            async for read, page in pages:
                if read is at_the_end:
                    ends.set_last(_ids(page), page.meta.total_count)
                else:
                    yield self._take(seen, read, page)
        # Where the list does not tell its length, each gap is doubted anyway.
        if first.total_pages > 1 and self.total is not None and await self._may_have_swapped(ends, size):
            self._gaps.doubt_all()
        while self._next <= self._last or self._gaps.open:
            async with aclosing(as_they_come(self._reads(size), self._with_page)) as pages:
                async for read, page in pages:
                    yield self._take(seen, read, page)

    def _with_end(self, at_the_end: Read) -> Iterator[Read]:
        """Yield the last page, whose rows are to be compared with the list's end after the reading; then all others."""
        if at_the_end.number > 1:
            yield at_the_end
        yield from self._reads(at_the_end.size)

    def _reads(self, size: int) -> Iterator[Read]:
        while self._gaps.open or self._next <= self._last:
            if self._gaps.open:
                yield self._gaps.open.pop()
            else:
                self._next += 1
                yield Read(self._next - 1, size)

    async def _with_page(self, read: Read) -> tuple[Read, Page[ItemT]]:
        return read, await self._read(read)

    async def _read(self, read: Read) -> Page[ItemT]:
        page = await self._client.run(self._call(read.number, read.size))
        self.total = page.meta.total_count
        return page

    async def _may_have_swapped(self, ends: ListEnds, size: int) -> bool:
        last = -(-(self.total or 0) // size)
        before, place = await asyncio.gather(
            self._place(ends.front, range(1, _END_PAGES + 1), size),
            self._place(ends.back, range(last, max(0, last - _END_PAGES), -1), size),
        )
        behind = self.total - 1 - place if self.total is not None and place is not None else None
        return ends.may_have_swapped(before, behind, self.total)

    async def _place(self, identifier: str | None, numbers: Iterable[int], size: int) -> int | None:
        for number in numbers:
            read = Read(number, size)
            ids = _ids(await self._read(read))
            if identifier in ids:
                return read.start + ids.index(identifier)
        return None

    def _take(self, seen: TemporaryDatabase, read: Read, page: Page[ItemT]) -> list[ItemT]:
        rows = {row.id: row for row in page.data}
        known = _ranks(seen, list(rows))
        ranks = {identifier: rank for identifier, rank in known.items() if rank is not None}
        places: list[tuple[str, int | None]]
        if read.gap:
            self._gaps.add_bridge(read, list(rows), ranks, page.meta.total_count)
            if self._gaps.unjoinable is not None:
                raise IncompleteReadError(
                    f"{self._name} shifts too fast around page {self._gaps.unjoinable} to be read whole. "
                    "Try again when the account is less busy."
                )
            places = [(identifier, None) for identifier in rows if identifier not in known]
        else:
            self._repeated.check(read.number, page)
            self._last = max(self._last, page.total_pages) if rows else min(self._last, read.number)
            self._gaps.add_page(read.number, len(rows), page.meta.total_count, ranks)
            places = [(identifier, read.start + place) for place, identifier in enumerate(rows)]
        seen.run_many("INSERT INTO seen VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET rank = excluded.rank", places)
        return [row for identifier, row in rows.items() if identifier not in known]


def _ids(page: Page[ItemT]) -> list[str]:
    return [row.id for row in page.data]


def _ranks(seen: TemporaryDatabase, identifiers: list[str]) -> dict[str, int | None]:
    marks = ",".join("?" * len(identifiers))
    query = f"SELECT id, rank FROM seen WHERE id IN ({marks})"  # noqa: S608 - nothing but question marks
    return dict(seen.all(query, *identifiers))
