"""A row of a run: where it stands, what is sent for it, what came of that, and what the service has that may be its."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class RowState(IntEnum):
    """Where a row stands.

    Waiting to be sent; sent, unsure what came of it; created; existing before; a duplicate of an earlier row; rejected
    by us or the service; ambiguous, since more was found than rows account for. The first two are open.
    """

    WAITING = 0
    UNSURE = 1
    CREATED = 2
    EXISTING = 3
    DUPLICATE = 4
    REJECTED = 5
    AMBIGUOUS = 6


class TableRow(NamedTuple):
    """A row as it is read from its source: its number, identity, natural key and request body."""

    n: int
    item: bytes
    key: bytes
    body: str


class SendResult(NamedTuple):
    """What came of a row's request.

    :ivar at: when it was sent, and for what was created, by when it was there (epoch seconds, as all moments here).
    :ivar decided_at: from when on an unsure one has been carried out, or never will be.
    """

    row: TableRow
    state: RowState
    at: float
    id: str | None = None
    decided_at: float | None = None
    reason: str | None = None


class FoundRow(NamedTuple):
    """What the service has: an id, its natural key, and what :class:`~.resources.Found` tells of it."""

    id: str
    key: bytes
    at: float | None
    not_before: float | None
    has_failed: bool
