"""Rows in the order of their creation, read page by page in either direction."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Numbered(Protocol):
    """Anything with a serial number that grows with each creation."""

    serial: int


Row = TypeVar("Row", bound=Numbered)


class Rows(Generic[Row]):
    """Rows sorted by serial number; reading a page costs as much as the page is long."""

    def __init__(self, *, newest_first: bool) -> None:
        self._rows: list[Row] = []
        self._newest_first = newest_first

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        """Iterate from the oldest to the newest."""
        return iter(self._rows)

    def add(self, row: Row) -> None:
        """Put the row where its serial number belongs."""
        if not self._rows or self._rows[-1].serial < row.serial:
            self._rows.append(row)
        else:
            self._rows.insert(self._place(row.serial), row)

    def remove(self, row: Row) -> None:
        """Take the row out."""
        del self._rows[self._place(row.serial)]

    def page(self, number: int, size: int) -> list[Row]:
        """Return page ``number``, counted from 1."""
        first = (number - 1) * size
        if not self._newest_first:
            return self._rows[first : first + size]
        end = max(0, len(self._rows) - first)
        return self._rows[max(0, end - size) : end][::-1]

    def _place(self, serial: int) -> int:
        return bisect_left(self._rows, serial, key=lambda row: row.serial)
