"""Walking through a list page by page."""

from __future__ import annotations

from pihupulse_provider.api.models import ItemT, Page

_MOST_WITHOUT_NEWS = 3
"""Pages in a row that may repeat what was on earlier ones, which rows do that move while a list is read."""


class Pages:
    """Says which page comes next and which of its rows are new.

    ``meta`` is believed over what was asked for, but not for ever: pages without a row that is new are the end. A row
    that moved to a later page while the list was read is given out once.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._without_news = 0
        self.next: int | None = 1

    def take(self, page: Page[ItemT]) -> list[ItemT]:
        """Return the page's rows that were not on an earlier one, and move on."""
        number = self.next or 1
        fresh = {item.id: item for item in page.data if item.id not in self._seen}
        self._seen.update(fresh)
        self._without_news = 0 if fresh else self._without_news + 1
        is_last = not page.data or number >= page.total_pages or self._without_news >= _MOST_WITHOUT_NEWS
        self.next = None if is_last else number + 1
        return list(fresh.values())
