"""Whether the pages of a list that were read fit together, and what to read where they do not. Does no I/O.

Pages are offsets into a list that grows and shrinks while it is read, at either end. Two neighbouring pages fit if the
list was as long for the one as for the other, or if they share a row. Where they do not, or the list does not tell how
long it is, a page of another size that spans the gap (a bridge) is read: it holds, as of one moment, the end of the one
and the start of the other.

An example, with pages of six rows. The list is ``abcdef ghijkl``, and page 1 gives ``abcdef`` of 12 rows. Then ``b`` is
removed, so that the list is ``acdefg hijkl``, and page 2 gives ``hijkl`` of 11 rows: nobody has read ``g``.

>>> gaps = PageGaps(size=6)
>>> gaps.add_page(1, rows=6, total=12, ranks={})
>>> gaps.add_page(2, rows=5, total=11, ranks={})

The lengths differ, and no row of page 2 was seen on page 1, so there may be a gap between them, at offset 6. Of all
smaller pages the second of size 4, which is the offsets 4 to 7, reaches furthest to both sides of it:

>>> gaps.open
[Read(number=2, size=4, gap=1)]

It gives ``fghi``. The row ``f`` was seen at place 5, which is on page 1, and ``h`` and ``i`` at 6 and 7, on page 2. One
response reaches from the one page to the other, so they are joined, and ``g`` is found:

>>> bridge = gaps.open.pop()
>>> gaps.add_bridge(bridge, list("fghi"), ranks={"f": 5, "h": 6, "i": 7}, total=11)
>>> gaps.open
[]

Had the list shifted so far that the bridge met one of the pages only, the places of the rows it did meet would tell by
how much, and the next bridge would be read there.

Equal lengths do not prove that nothing was lost, if rows came meanwhile: see :class:`ListEnds`. Where rows come in the
middle too, the ends tell nothing, and every gap has to be doubted from the start.
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

    def add_page(self, number: int, rows: int, total: int | None, ranks: Mapping[str, int]) -> None:
        """Take note of a page.

        :param rows: how many it has. :param total: how long the list was, as the page said.
        :param ranks: the places, counted from 0, at which rows of the page had been seen before.
        """
        self._totals[number] = total
        self._note(total)
        self._join({number, *self._pages(ranks)})
        if total is not None and (number - 1) * self._size + rows >= total:
            self._joined.add(number)  # it was the end: whatever stands behind it came later
        for gap in (number - 1, number):
            self._judge(gap)

    def add_bridge(self, read: Read, rows: Sequence[str], ranks: Mapping[str, int], total: int | None) -> None:
        """Take note of a bridge: it joins its gap, or tells where the gap has moved to."""
        self._note(total)
        is_front = read.start == 0
        is_end = len(rows) < read.size if total is None else read.start + len(rows) >= total
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
        # Pages are contiguous: no row can be missing between two that share one, or that one response reaches.
        if pages:
            self._joined.update(range(min(pages), max(pages)))

    def _note(self, total: int | None) -> None:
        if total is not None:
            self.lowest_total = total if self.lowest_total is None else min(total, self.lowest_total)

    def _judge(self, gap: int) -> None:
        if gap in self._joined or gap in self._asked or not {gap, gap + 1} <= self._totals.keys():
            return
        lengths = {self._totals[gap], self._totals[gap + 1]}
        if self._all_are_doubted or len(lengths) > 1 or None in lengths:
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


class ListEnds:
    """The first and the last row of a list when its reading began: they tell if it gained rows while it lost some.

    Rows are gained at the ends. So the rows that stand beyond these two afterwards have been gained; if the list has
    not grown by as many, it has lost some.

    Again ``abcdef ghijkl``. After page 1, ``c`` is removed and ``m`` added at the end: the list is ``abdefg hijklm``,
    and page 2 gives ``hijklm``. Both pages tell of 12 rows, and yet ``g`` is on neither. Afterwards ``a`` is still the
    first row, and one row, ``m``, stands behind ``l``. One was gained and the list has not grown, so one was lost:

    >>> ends = ListEnds(list("abcdef"), total=12)
    >>> ends.set_last(list("ghijkl"), total=12)
    >>> ends.may_have_swapped(before=0, behind=1, total=12)
    True

    Then every gap is doubted. Where rows are only gained, none is:

    >>> ends.may_have_swapped(before=0, behind=1, total=13)
    False

    :param first: the ids of the first page. :param total: how long the list was, as it said.
    """

    def __init__(self, first: Sequence[str], total: int | None) -> None:
        self._total = total
        self.front = first[0] if first else None
        self.back: str | None = None
        self._began_together = False

    def set_last(self, last: Sequence[str], total: int | None) -> None:
        """Take note of the ids of the last page, which is read right after the first."""
        self.back = last[-1] if last else None
        self._began_together = total == self._total

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
