"""Walking through a list page by page."""

from __future__ import annotations

from collections.abc import Iterable

from pihupulse_provider.api.models import ItemT, Page


class Pages:
    """Says which page comes next and which of its rows are new.

    ``meta`` is believed over what was asked for, and a row that moved to a later page while the list was read is
    given out once.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self.next: int | None = 1

    def take(self, page: Page[ItemT]) -> Iterable[ItemT]:
        """Return the page's rows that were not on an earlier one, and move on."""
        number = self.next or 1
        last = not page.data or number >= page.total_pages
        self.next = None if last else number + 1
        for item in page.data:
            key = item.id  # type: ignore[attr-defined]
            if key not in self._seen:
                self._seen.add(key)
                yield item
