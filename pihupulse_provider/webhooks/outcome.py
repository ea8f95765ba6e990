"""What can come of a delivery."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What came of a request; the value names it in the log and in metrics."""

    STORED = "stored"
    KNOWN = "known"
    BAD_SIGNATURE = "bad_signature"
    NOT_AN_EVENT = "not_an_event"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    UNAVAILABLE = "unavailable"
    NOT_FOUND = "not_found"

    @property
    def is_good(self) -> bool:
        """Return whether the event is in the inbox."""
        return self in (Outcome.STORED, Outcome.KNOWN)
