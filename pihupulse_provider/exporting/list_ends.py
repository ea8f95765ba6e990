"""Whether a list lost rows while it gained others, which its length alone does not show. Does no I/O."""

from __future__ import annotations

from typing import Generic

from pihupulse_provider.api.models import ItemT, Page


def item_id(row: object) -> str:
    """Return the id of a row of a list: a candidate, a screening or a template."""
    identifier: str = row.id  # type: ignore[attr-defined]
    return identifier


class ListEnds(Generic[ItemT]):
    """The first and the last row of a list when its reading began.

    Rows are gained at the ends. So the rows that stand beyond these two afterwards have been gained; if the list has
    not grown by as many, it has lost some.

    :param first: the first page. ``last_came`` takes the last one, read right after it.
    """

    def __init__(self, first: Page[ItemT]) -> None:
        self._total = first.meta.total_count
        self.front = item_id(first.data[0]) if first.data else None
        self.back: str | None = None
        self._began_together = False

    def last_came(self, last: Page[ItemT]) -> None:
        """Take note of the last page."""
        self.back = item_id(last.data[-1]) if last.data else None
        self._began_together = last.meta.total_count == self._total

    def may_have_swapped(self, before: int | None, behind: int | None, total: int | None) -> bool:
        """Return whether the list may have both gained and lost rows.

        :param before: how many rows now stand before the first one of then; None if it was not found.
        :param behind: how many now stand behind the last one of then. :param total: how many there are now.
        """
        if self._total is None or total is None:
            return False
        if before is None or behind is None or not self._began_together:
            return True
        gained = before + behind
        return gained > 0 and gained > total - self._total
