"""Walking through a list page by page."""

from __future__ import annotations

from pihupulse_provider.api.errors import ResponseError
from pihupulse_provider.api.models import ItemT, Page

_MOST_REPEATS = 5
"""Pages in a row without a new row: no list shifts by so many while one page of it is read."""


class Pages:
    """Says which page comes next and which of its rows are new.

    ``meta`` is believed over what was asked for, and a row that moved to a later page while the list was read is
    given out once.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._repeats = 0
        self.next: int | None = 1

    def take(self, page: Page[ItemT]) -> list[ItemT]:
        """Return the page's rows that were not on an earlier one, and move on.

        :raises ResponseError: if page after page repeats earlier ones, so that the list would never end.
        """
        number = self.next or 1
        is_last = not page.data or number >= page.total_pages
        self.next = None if is_last else number + 1
        fresh = {item.id: item for item in page.data if item.id not in self._seen}
        self._seen.update(fresh)
        self._repeats = 0 if fresh else self._repeats + 1
        if self._repeats >= _MOST_REPEATS and not is_last:
            raise ResponseError(
                f"Pages {number - _MOST_REPEATS + 1} to {number} of a list repeat earlier ones, of {page.total_pages} "
                "that there are said to be: the list is not read on.",
                status=200,
            )
        return list(fresh.values())
