"""Whether the pages of a list that were read fit together, and what to read where they do not. Does no I/O.

Pages are offsets into a list that grows and shrinks while it is read, at either end. Two neighbouring pages fit if the
list was as long for the one as for the other, or if they share a row. Where they do not, a page of another size that
spans the seam (a bridge) is read: it holds, as of one moment, the end of the one and the start of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_ATTEMPTS = 20


@dataclass(frozen=True)
class Read:
    """A page to read.

    :ivar number: counted from 1. ``size``: rows a page. ``seam``: for a bridge, the page whose end it spans.
    """

    number: int
    size: int
    seam: int | None = None

    @property
    def start(self) -> int:
        """Return the offset of the page's first row."""
        return (self.number - 1) * self.size


class Seams:
    """The seams between the pages of one reading.

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

    def page_came(self, number: int, total: int | None, ranks: Mapping[str, int]) -> None:
        """Take note of a page.

        :param total: how long the list was, as the page told.
        :param ranks: the places, counted from 0, at which rows of the page had been seen before.
        """
        self._totals[number] = total
        self._note(total)
        pages = {rank // self._size + 1 for rank in ranks.values()}
        self._joined |= {seam for seam, other in ((number - 1, number - 1), (number, number + 1)) if other in pages}
        for seam in (number - 1, number):
            self._judge(seam)

    def bridge_came(self, read: Read, rows: Sequence[str], ranks: Mapping[str, int], total: int | None) -> None:
        """Take note of a bridge: it joins its seam, or tells where the seam has moved to."""
        assert read.seam is not None  # noqa: S101 - that is what a bridge is
        self._note(total)
        boundary = read.seam * self._size
        before = read.start == 0 or any(rank < boundary for rank in ranks.values())
        at_end = total is not None and read.start + len(rows) >= total
        behind = at_end or any(rank >= boundary for rank in ranks.values())
        if before and behind:
            self._joined.add(read.seam)
            return
        self._attempts[read.seam] = self._attempts.get(read.seam, 0) + 1
        if self._attempts[read.seam] >= _ATTEMPTS:
            self.unjoinable = read.seam
            return
        drift = [read.start + place - ranks[row] for place, row in enumerate(rows) if row in ranks]
        middle = read.start + read.size // 2
        offset = boundary + drift[len(drift) // 2] if drift else middle + (self._size if rows else -self._size)
        if total is not None:
            offset = min(offset, total)
        self.open.append(bridge_over(max(1, offset), self._size, read.seam))

    def doubt_all(self) -> bool:
        """Open the seams that only equal lengths vouch for, if the list both grew and shrank; True if there are any.

        A row gained and a row lost between two pages leave the length as it was.
        """
        told = [total for _, total in sorted(self._totals.items()) if total is not None]
        grew = any(earlier < later for earlier, later in pairwise(told))
        shrank = any(earlier > later for earlier, later in pairwise(told))
        if self._all_are_doubted or not (grew and shrank):
            return False
        self._all_are_doubted = True
        for seam in range(1, len(self._totals)):
            self._judge(seam)
        return bool(self.open)

    def _note(self, total: int | None) -> None:
        if total is not None:
            self.lowest_total = total if self.lowest_total is None else min(total, self.lowest_total)

    def _judge(self, seam: int) -> None:
        if seam in self._joined or seam in self._asked or not {seam, seam + 1} <= self._totals.keys():
            return
        if self._all_are_doubted or self._totals[seam] != self._totals[seam + 1]:
            self._asked.add(seam)
            self.open.append(bridge_over(seam * self._size, self._size, seam))


def bridge_over(offset: int, size: int, seam: int) -> Read:
    """Return the page, smaller than ``size``, that reaches furthest to both sides of an offset.

    >>> bridge_over(100, 100, seam=1)
    Read(number=2, size=67, seam=1)
    """

    def reach(length: int) -> int:
        before = offset % length
        return min(before, length - before)

    length = max(range(min(2, size), size + 1), key=reach)
    return Read(offset // length + 1, length, seam)
