"""Whether the pages of a list that were read fit together, and what to read where they do not. Does no I/O.

Pages are offsets into a list that grows and shrinks while it is read, at either end. Two neighbouring pages fit if the
list was as long for the one as for the other, or if they share a row. Where they do not, a page of another size that
spans the gap (a bridge) is read: it holds, as of one moment, the end of the one and the start of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_ATTEMPTS = 20


@dataclass(frozen=True)
class Read:
    """A page to read.

    :ivar number: counted from 1. ``size``: rows a page. ``gap``: for a bridge, the page whose end it spans; or 0.
    """

    number: int
    size: int
    gap: int = 0

    @property
    def start(self) -> int:
        """Return the offset of the page's first row."""
        return (self.number - 1) * self.size


class PageGaps:
    """The gaps between the pages of one reading.

    :param size: rows a page.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._totals: dict[int, int | None] = {}
        self._joined: set[int] = set()
        self._asked: set[int] = set()
        self._attempts: dict[int, int] = {}
        self._all_are_doubted = False
        self.lowest_total: int | None = None
        self.open: list[Read] = []
        self.unjoinable: int | None = None

    def page_came(self, number: int, rows: int, total: int | None, ranks: Mapping[str, int]) -> None:
        """Take note of a page.

        :param rows: how many it has. :param total: how long the list was, as the page told.
        :param ranks: the places, counted from 0, at which rows of the page had been seen before.
        """
        self._totals[number] = total
        self._note(total)
        self._join({number, *self._pages(ranks)})
        if total is not None and (number - 1) * self._size + rows >= total:
            self._joined.add(number)  # it was the end: whatever stands behind it came later
        for gap in (number - 1, number):
            self._judge(gap)

    def bridge_came(self, read: Read, rows: Sequence[str], ranks: Mapping[str, int], total: int | None) -> None:
        """Take note of a bridge: it joins its gap, or tells where the gap has moved to."""
        self._note(total)
        is_front = read.start == 0
        is_end = total is not None and read.start + len(rows) >= total
        self._join({*self._pages(ranks), *([1] if is_front else []), *([max(self._totals)] if is_end else [])})
        if read.gap in self._joined:
            return
        self._attempts[read.gap] = self._attempts.get(read.gap, 0) + 1
        if self._attempts[read.gap] >= _ATTEMPTS:
            self.unjoinable = read.gap
            return
        drift = [read.start + place - ranks[row] for place, row in enumerate(rows) if row in ranks]
        middle = read.start + read.size // 2
        offset = read.gap * self._size + drift[len(drift) // 2] if drift else middle + (1 if rows else -1) * self._size
        if total is not None:
            offset = min(offset, total)
        self.open.append(bridge_over(max(1, offset), self._size, read.gap))

    def doubt_all(self) -> None:
        """Open the gaps too that only equal lengths vouch for: a row gained and one lost leave the length alone."""
        self._all_are_doubted = True
        for gap in range(1, len(self._totals)):
            self._judge(gap)

    def _pages(self, ranks: Mapping[str, int]) -> set[int]:
        return {rank // self._size + 1 for rank in ranks.values()}

    def _join(self, pages: set[int]) -> None:
        # Pages are contiguous: no row can be missing between two that share one, or that one answer reaches.
        if pages:
            self._joined.update(range(min(pages), max(pages)))

    def _note(self, total: int | None) -> None:
        if total is not None:
            self.lowest_total = total if self.lowest_total is None else min(total, self.lowest_total)

    def _judge(self, gap: int) -> None:
        if gap in self._joined or gap in self._asked or not {gap, gap + 1} <= self._totals.keys():
            return
        if self._all_are_doubted or self._totals[gap] != self._totals[gap + 1]:
            self._asked.add(gap)
            self.open.append(bridge_over(gap * self._size, self._size, gap))


def bridge_over(offset: int, size: int, gap: int) -> Read:
    """Return the page, smaller than ``size``, that reaches furthest to both sides of an offset.

    >>> bridge_over(100, 100, gap=1)
    Read(number=2, size=67, gap=1)
    """

    def reach(length: int) -> int:
        before = offset % length
        return min(before, length - before)

    length = max(range(min(2, size), size + 1), key=reach)
    return Read(offset // length + 1, length, gap)
