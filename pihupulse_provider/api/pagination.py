"""Walking through the pages of a list that may shift meanwhile, to an end in any case."""

from __future__ import annotations

import math

from pihupulse_provider.api.errors import IncompleteReadError
from pihupulse_provider.api.models import ItemT, Page

_MOST_STEPS_BACK = 10
"""How many times in a row earlier pages are read again, since the list got shorter, without a new row on any."""
_MOST_STEPS_A_PAGE = 3
"""The same in all, for each page that the list had at first."""
_MOST_REPEATED = 10
"""How many pages may come again that the list's growth does not account for."""


class Pages:
    """Says which page comes next and which of its rows are new: one that moved to a later page is given out once.

    Rows that are deleted move those behind them forwards, perhaps from a page still to be read to one that was: when
    the list has got shorter, earlier pages are read again. A row that comes for each that goes hides that.

    :param name: the endpoint's, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: set[str] = set()
        self._repeated = RepeatedPages(name)
        self._covered = _Covered()
        self._highest = 0
        self.next: int | None = 1

    def take(self, page: Page[ItemT]) -> list[ItemT]:
        """Return the page's rows that were not on an earlier one, and move on.

        :raises IncompleteReadError: if the pages repeat themselves, or the list gets shorter too fast.
        """
        number = self.next or 1
        if number > self._highest:
            self._highest = number
            self._repeated.check(number, page)
        fresh = {item.id: item for item in page.data if item.id not in self._seen}
        self._seen.update(fresh)
        if fresh:
            self._covered.steps_back = 0
        self.next = self._covered.next_page(number, page)
        if self._covered.is_in_vain:
            raise IncompleteReadError(
                f"{self._name} gets shorter again and again while page {number} of {page.total_pages} is read, so that "
                "rows may be missed. Try again when the account is less busy."
            )
        return list(fresh.values())


class _Covered:
    """How much of a list is read for certain while it gets shorter, and the page to read next.

    An example: pages 1 and 2 of a hundred rows each cover the rows 0 to 200. Then the list is three rows shorter, so
    that up to three unread rows may have moved there: for certain only 197 are covered. Page 3 begins at 200, so page 2
    is read once more. That covers 200 again, and the rows of page 3, which follow, as well.

    :ivar steps_back: how many times a page was too far on since there was a new row on one.
    """

    def __init__(self) -> None:
        self.steps_back = self._all_steps_back = 0
        self._end = 0
        self._ahead_from = self._ahead_to = 0  # what was read of a page that was too far on
        self._size = 1
        self._rows: int | None = None
        self._pages: int | None = None
        self._pages_at_first: int | None = None

    @property
    def is_in_vain(self) -> bool:
        """Return whether too many pages were read again, since the last new row or in all, to expect an end."""
        most = _MOST_STEPS_BACK + _MOST_STEPS_A_PAGE * (self._pages_at_first or 1)
        return self.steps_back > _MOST_STEPS_BACK or self._all_steps_back > most

    def next_page(self, number: int, page: Page[ItemT]) -> int | None:
        """Return the page to read after this one, None after the last."""
        self._size = max(self._size, page.meta.per_page or len(page.data))
        self._pages_at_first = self._pages_at_first or page.total_pages
        self._shift(self._change(page))
        start = (number - 1) * self._size
        end = number * self._size if number < page.total_pages else start + len(page.data)
        if start > self._end:
            self.steps_back += 1
            self._all_steps_back += 1
            self._ahead_from, self._ahead_to = start, end
            return max(1, self._end // self._size + 2 - self.steps_back)  # further back each time it was in vain
        self._end = max(self._end, end)
        if self._ahead_from <= self._end:
            self._end = max(self._end, self._ahead_to)
        following = max(number, self._end // self._size) + 1
        is_last = not page.data or number >= page.total_pages or self._end >= (self._rows or math.inf)
        return None if is_last or following > page.total_pages else following

    def _change(self, page: Page[ItemT]) -> int:
        """Return by how many rows the list is longer at the most, or shorter (then negative), as far as it says."""
        before, self._rows = self._rows, page.meta.total_count
        pages_before, self._pages = self._pages, page.meta.total_pages
        if before is not None and self._rows is not None:
            return self._rows - before
        pages = self._pages - pages_before if pages_before is not None and self._pages is not None else 0
        return (pages + (pages > 0) - (pages < 0)) * self._size

    def _shift(self, rows: int) -> None:
        """Rows that came may all be in front of what was read ahead; those that went, in front of all that was read."""
        self._ahead_from += max(0, rows)
        self._ahead_to = max(0, self._ahead_to + min(0, rows))
        self._end = max(0, self._end + min(0, rows))


class RepeatedPages:
    """Notices a list that gives the same pages under more and more numbers, as a cache on the way can make it.

    Rows that are added can move all rows of a page to a later one, too; then the list has grown by as many pages.

    :param name: the endpoint's, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._number_of: dict[int, int] = {}
        self._first_total: int | None = None
        self._repeated = 0

    def check(self, number: int, page: Page[ItemT]) -> None:
        """Take note of a page. :raises IncompleteReadError: if too many were there under another number already."""
        if not page.data:
            return
        self._first_total = page.total_pages if self._first_total is None else self._first_total
        rows = hash(frozenset(item.id for item in page.data))
        self._repeated += self._number_of.setdefault(rows, number) != number
        grown = max(0, page.total_pages - self._first_total)
        if self._repeated > _MOST_REPEATED + min(grown, len(self._number_of)):
            raise IncompleteReadError(
                f"{self._name} gives the same pages again and again, up to page {number} of {page.total_pages}, so it "
                "can't be read whole. If that goes on, something between here and PihuPulse, such as a proxy with a "
                "cache, ignores which page was asked for, or PihuPulse does: tell its support."
            )
