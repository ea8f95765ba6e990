"""What can go wrong with rows, one or many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pihupulse_provider.api.errors import CreateError, PihuPulseError
from pihupulse_provider.api.logs import counted

_REASONS = 10
"""How many reasons a message names at most, and of how many rows it gives the number of each."""


class Problem(NamedTuple):
    """What is wrong with one field; it never tells the value. The field is None when it is the whole row."""

    field: str | None
    reason: str


class InvalidRowError(PihuPulseError, ValueError):
    """A row from which nothing can be created.

    :ivar problems: everything that is wrong with it.
    """

    permanent = True

    def __init__(self, problems: Sequence[Problem]) -> None:
        reasons = (f"{problem.field or 'the row'} {problem.reason}" for problem in problems)
        super().__init__(f"Nothing was sent: {'; '.join(reasons)}.")
        self.problems = list(problems)


class InvalidCandidateError(InvalidRowError):
    """A candidate that PihuPulse could not use."""


class SourceError(PihuPulseError):
    """A source that can't be read; the message says where and what to do, and tells no value of it."""


class SourceFormatError(SourceError):
    """A source that is not what the arguments say it is, so that trying again ends the same way."""

    permanent = True


class SourceChangedError(SourceError):
    """The source is not the one of which an earlier try has created something."""

    permanent = True


class RejectedRowsError(CreateError):
    """More rows were rejected than ``max_rejects`` allows, whoever rejected them, or all of them.

    :ivar rejected: how many rows were rejected. ``rows``: how many were to be created.
    """

    permanent = True

    def __init__(self, message: str, *, rejected: int, rows: int) -> None:
        super().__init__(message)
        self.rejected = rejected
        self.rows = rows


class ExistingRowsError(CreateError):
    """Something that is there already or is repeated, where ``on_existing`` is ``fail``.

    :ivar rows: the numbers of the first of them.
    """

    permanent = True

    def __init__(self, message: str, *, rows: Sequence[int]) -> None:
        super().__init__(message)
        self.rows = list(rows)


class DeletedError(CreateError):
    """What this task created earlier is not there any more.

    :param created: what it created. :param gone: says what is not there.
    :ivar ids: the ids of what is not there.
    """

    permanent = True

    def __init__(self, created: str, gone: str, *, ids: Sequence[str]) -> None:
        super().__init__(
            f"This task has created its {created} already, and {gone} there any more: deleted, perhaps in the "
            "dashboard. Clearing the task does not create anything again. Start a new DAG run for that, or mark this "
            "task as success."
        )
        self.ids = list(ids)


def reasons_of(rejects: Iterable[Mapping[str, Any]]) -> str:
    """Return why rows are rejected: each reason once, with how many rows have it and the first of them.

    :param rejects: ``{row, field, reason}`` of every problem.
    """
    rows: dict[str, list[int]] = {}
    counts: Counter[str] = Counter()
    others = 0
    for one in rejects:
        reason = f"{one['field'] or ''} {one['reason']}".strip().rstrip(".")
        if reason not in rows and len(rows) == _REASONS:
            others += 1
            continue
        counts[reason] += 1
        numbers = rows.setdefault(reason, [])
        if len(numbers) < _REASONS:
            numbers.append(one["row"])
    said = [f"{_rows(numbers, counts[reason])}: {reason}" for reason, numbers in rows.items()]
    return "; ".join([*said, f"{counted(others, 'problem')} for other reasons"] if others else said)


def _rows(numbers: Sequence[int], count: int) -> str:
    if count == 1:
        return f"row {numbers[0]}"
    more = f" and {count - len(numbers):,} more" if count > len(numbers) else ""
    return f"{counted(count, 'row')} ({', '.join(map(str, numbers))}{more})"
