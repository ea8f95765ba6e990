"""How objects are created, how far that is, and what came of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pihupulse_provider.api.errors import ConfigurationError, check_choice
from pihupulse_provider.api.logs import counted

ON_EXISTING = ("skip", "create", "fail")
_CLOCKS_APART = 900.0
"""Seconds that a machine's clock may be ahead of the one that says when a DAG run was due."""


@dataclass(frozen=True)
class CreateOptions:
    """How objects are created.

    :param job: names the create or the import for ever: a retry goes on under the same name.
    :param first_try: whether nothing was tried under this name before.
    :param since: a moment before which this job can have created nothing; None if that is not known.
    :param on_existing: what to do with a row that is there already: ``skip`` it, ``create`` it again, or ``fail``.
    :param on_repeated: the same for a row that repeats an earlier one of the source.
    :param max_rejects: how many rejected rows are allowed: a count, or a share below 1 of the rows to be created.
    :param is_single: whether it is one object rather than a source of rows. Its natural key alone identifies it, and
        what refuses it ends the run as the error that it is.
    """

    job: str
    first_try: bool
    since: datetime | None = None
    on_existing: str = "skip"
    on_repeated: str = "skip"
    max_rejects: float = 0
    is_single: bool = False

    def earliest(self, now: float) -> float | None:
        """Return the moment before which this job can have created nothing, in the epoch seconds of ``now``'s clock.

        ``since`` is told by another machine's clock: where that is ahead, nothing is known.
        """
        if self.since is None or self.since.timestamp() > now:
            return None
        return self.since.timestamp() - _CLOCKS_APART

    def allowed_rejects(self, rows: int) -> int:
        """Return how many of so many rows may be rejected."""
        return math.floor(self.max_rejects * rows) if 0 < self.max_rejects < 1 else int(self.max_rejects)


def check_on_existing(value: str) -> str:
    """Return the value if it is one. :raises ConfigurationError: saying which there are."""
    return check_choice("on_existing", value, ON_EXISTING)


def check_max_rejects(value: object) -> float:
    """Return the value if it is a count or a share. :raises ConfigurationError: saying what it must be."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value < math.inf
        or (value > 1 and value != int(value))
    ):
        raise ConfigurationError(
            f"max_rejects is {value!r}: give a number of rows, such as 10, or a share of them below 1, such as 0.01."
        )
    return value


class Extent(NamedTuple):
    """How far a run is: rows of the source, those that are done, those that are rejected."""

    total: int | None = None
    done: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class Summary:
    """What came of a run; ``created`` includes what earlier tries of the task created.

    :ivar rows: rows of the source. ``existing``, ``duplicates``: rows left out since they exist, or repeat another.
    :ivar rejected: rows that can't be used, or that PihuPulse refused.
    :ivar requests: requests of this try. ``seconds``: how long this try took.
    """

    rows: int
    created: int
    existing: int
    duplicates: int
    rejected: int
    requests: int
    seconds: float

    def sentence(self, noun: str) -> str:
        """Return it for a person to read; the noun is that of what is created."""
        return (
            f"{counted(self.rows, 'row')}: {counted(self.created, noun)} created, {self.existing:,} existing, "
            f"{counted(self.duplicates, 'duplicate')}, {self.rejected:,} rejected; "
            f"{counted(self.requests, 'request')} in {self.seconds:,.1f} seconds"
        )
