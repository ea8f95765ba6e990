"""What PihuPulse showed of a screening."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pihupulse_provider.api.iso_time import write_iso

if TYPE_CHECKING:
    from pihupulse_provider.api.models import CandidateScreening, Score, Screening

NOT_FOUND = "not_found"
"""The status of a screening that PihuPulse does not show; it is ours, the service never says it."""


class ScreeningSnapshot(NamedTuple):
    """What PihuPulse showed of a screening, without anything personal.

    :ivar status: as the service wrote it; None while nothing was seen.
    :ivar score: None until the screening is completed.
    :ivar completed_at: as an ISO 8601 text; None until the screening is completed.
    """

    screening_id: str
    candidate_id: str | None = None
    status: str | None = None
    score: Score = None
    completed_at: str | None = None

    def public(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return self._asdict()


def listed(screening: Screening) -> ScreeningSnapshot:
    """Return what a list shows (API reference, "List Screenings")."""
    completed_at = _iso(screening.completed_at)
    return ScreeningSnapshot(screening.id, screening.candidate_id, screening.status, screening.score, completed_at)


def detailed(screening: CandidateScreening, candidate_id: str) -> ScreeningSnapshot:
    """Return what a candidate's details show (API reference, "Get Candidate")."""
    return ScreeningSnapshot(
        screening.id, candidate_id, screening.status, screening.score, _iso(screening.completed_at)
    )


def _iso(moment: datetime | None) -> str | None:
    return write_iso(moment) if moment else None
