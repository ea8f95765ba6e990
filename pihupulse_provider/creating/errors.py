"""What can go wrong with many rows at once."""

from __future__ import annotations

from collections.abc import Sequence

from pihupulse_provider.api.errors import CreateError, PihuPulseError


class SourceError(PihuPulseError):
    """A source that can't be read; the message says where and what to do, and tells no value of it."""


class SourceChangedError(SourceError):
    """The source is not the one of which an earlier try has created something."""


class RejectedRowsError(CreateError):
    """More rows are unusable than ``max_rejects`` allows.

    :ivar rejected: how many rows are unusable. ``rows``: how many rows there are.
    """

    def __init__(self, message: str, *, rejected: int, rows: int) -> None:
        super().__init__(message)
        self.rejected = rejected
        self.rows = rows


class ExistingRowsError(CreateError):
    """Rows whose e-mail address is there already, where ``on_existing`` is ``fail``.

    :ivar rows: the numbers of the first of them.
    """

    def __init__(self, message: str, *, rows: Sequence[int]) -> None:
        super().__init__(message)
        self.rows = list(rows)
