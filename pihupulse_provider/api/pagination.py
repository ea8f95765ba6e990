"""Walking through the pages of a list that may shift meanwhile, to an end in any case."""

from __future__ import annotations

from pihupulse_provider.api.errors import IncompleteReadError
from pihupulse_provider.api.models import ItemT, Page

_MOST_REPEATED = 10
"""How many pages may come again that the list's growth does not account for."""


class Pages:
    """Says which page comes next and which of its rows are new: one that moved to a later page is given out once.

    :param name: the endpoint's, for messages.
    """

    def __init__(self, name: str) -> None:
        self._seen: set[str] = set()
        self._repeated = RepeatedPages(name)
        self.next: int | None = 1

    def take(self, page: Page[ItemT]) -> list[ItemT]:
        """Return the page's rows that were not on an earlier one, and move on.

        :raises IncompleteReadError: if the pages repeat themselves.
        """
        number = self.next or 1
        self._repeated.check(number, page)
        fresh = {item.id: item for item in page.data if item.id not in self._seen}
        self._seen.update(fresh)
        self.next = None if not page.data or number >= page.total_pages else number + 1
        return list(fresh.values())


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
