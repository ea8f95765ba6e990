"""Which statuses are an end, and a good or a bad one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.waiting.screening_snapshot import NOT_FOUND

SUCCEEDED = ("completed",)
"""API reference, "List Screenings"."""
FAILED = ("failed", "cancelled", "canceled", "expired", "declined")
"""The reference shows no status of this kind: these are the words such services use."""
_UNDER_WAY = ("pending", "started", "in_progress")
"""``pending`` is in the reference ("List Screenings"); the event ``screening.started`` implies one of the others."""

Meaning = Literal["succeeded", "failed", "waiting", "unknown"]


class Statuses:
    """Says what a status means; upper and lower case are alike.

    :param succeeded: statuses that end a wait well.
    :param failed: statuses that end it badly.
    :raises ConfigurationError: if a status is in both.
    """

    def __init__(self, succeeded: Iterable[str] = SUCCEEDED, failed: Iterable[str] = FAILED) -> None:
        self.succeeded = _folded(succeeded, "succeeded_statuses")
        self.failed = _folded(failed, "failed_statuses")
        if both := sorted(set(self.succeeded) & set(self.failed)):
            raise ConfigurationError(
                f"{', '.join(both)} can't be in both succeeded_statuses and failed_statuses: take it out of one."
            )
        self._meanings: dict[str, Meaning] = {
            **dict.fromkeys(_UNDER_WAY, "waiting"),
            **dict.fromkeys(self.succeeded, "succeeded"),
            **dict.fromkeys((*self.failed, NOT_FOUND), "failed"),
        }

    def meaning(self, status: str | None) -> Meaning:
        """Return what a status means; one that was never heard of is a wait that somebody should be told of."""
        return "waiting" if status is None else self._meanings.get(status.casefold(), "unknown")


def _folded(statuses: Iterable[str], argument: str) -> tuple[str, ...]:
    if isinstance(statuses, str):
        raise ConfigurationError(f"{argument} is the text {statuses!r}: it must be a list of statuses.")
    return tuple(dict.fromkeys(status.casefold() for status in statuses))
