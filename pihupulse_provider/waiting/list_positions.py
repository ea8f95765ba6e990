"""What is remembered from one poll round to the next."""

from __future__ import annotations

from collections.abc import Container

from pihupulse_provider.api.endpoints import MAX_PAGE_SIZE
from pihupulse_provider.api.models import Page, Screening


class ListPositions:
    """Where each screening that is waited for was in the list, and whose it is.

    :ivar total_pages: how many pages the list had when last seen; None before that.
    :ivar total_count: how many rows it had; None when the service does not say.
    :ivar per_page: how many rows a page has.
    :ivar row_of: the row of the list, counted from 0, that each screening was in.
    :ivar candidate_of: the candidate of each screening, as far as known.
    :ivar searched: screenings that were searched for at the ends of the list, in vain.
    """

    def __init__(self) -> None:
        self.total_pages: int | None = None
        self.total_count: int | None = None
        self.per_page = MAX_PAGE_SIZE
        self.row_of: dict[str, int] = {}
        self.candidate_of: dict[str, str] = {}
        self.searched: set[str] = set()

    def page_of(self, screening_id: str) -> int | None:
        """Return the page that should hold a screening."""
        row = self.row_of.get(screening_id)
        if row is None or self.total_pages is None:
            return None
        return min(row // self.per_page + 1, self.total_pages)

    def measure(self, page: Page[Screening]) -> None:
        """Learn the list's size from a page; ``meta`` is believed over what was asked for."""
        self.total_pages = max(1, page.total_pages)
        self.total_count = page.meta.total_count
        self.per_page = page.meta.per_page or MAX_PAGE_SIZE

    def shift(self, rows: int, placed: Container[str]) -> None:
        """Move every screening but those already placed by so many rows."""
        for screening_id, row in self.row_of.items():
            if screening_id not in placed:
                self.row_of[screening_id] = max(0, row + rows)

    def keep(self, watched: Container[str]) -> None:
        """Forget all screenings but the watched ones."""
        self.row_of = {one: row for one, row in self.row_of.items() if one in watched}
        self.candidate_of = {one: candidate for one, candidate in self.candidate_of.items() if one in watched}
        self.searched = {one for one in self.searched if one in watched}
