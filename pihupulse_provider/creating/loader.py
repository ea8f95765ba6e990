"""From a source to a plan: each row checked, given its identity, and put on disk."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from pihupulse_provider.creating.errors import InvalidRowError
from pihupulse_provider.creating.readers import Row, Source
from pihupulse_provider.creating.resources import Resource
from pihupulse_provider.creating.row_table import RowTable, TableRow

_CHUNK = 1000

Digest = Callable[..., bytes]
"""Makes a keyed hash (16 bytes) of some values."""


class Loader:
    """Loads the rows of a source into a plan.

    A row's identity is its content, so that a query may give the same rows in another order.
    """

    def __init__(self, rows: RowTable, resource: Resource, digest: Digest) -> None:
        self._table = rows
        self._resource = resource
        self._digest = digest
        self._rows = 0
        self._sum = 0

    def load(self, source: Source) -> str:
        """Load all rows, and return a fingerprint of the usable ones, whatever their order.

        :raises SourceError: if the source can't be read.
        """
        if source.columns is not None:
            self._resource.check_columns(source.columns)
        while chunk := list(islice(source.rows, _CHUNK)):
            problems: list[tuple[int, str | None, str]] = []
            self._table.add([planned for row in chunk if (planned := self._planned(row, problems)) is not None])
            self._table.refuse(problems)
        self._table.index(lambda item, place: self._digest(item.hex(), str(place)))
        return f"{self._rows}:{self._sum % 2**128:032x}"

    def _planned(self, row: Row, problems: list[tuple[int, str | None, str]]) -> TableRow | None:
        if row.values is None:
            problems.append((row.number, None, row.reason or ""))
            return None
        try:
            parsed = self._resource.parse(row.values)
        except InvalidRowError as error:
            problems.extend((row.number, problem.field, problem.reason) for problem in error.problems)
            return None
        item = self._digest(self._resource.noun, parsed.body)
        self._rows += 1
        self._sum += int.from_bytes(item, "big")
        return TableRow(row.number, item, self._digest(self._resource.noun, *parsed.key), parsed.body)
