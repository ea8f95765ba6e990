"""What PihuPulse showed of a screening, and thousands of them as one short text for Airflow's database."""

from __future__ import annotations

import base64
import json
import lzma
from collections.abc import Iterable
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
    completed_at = _iso(screening.completed_at)
    return ScreeningSnapshot(screening.id, candidate_id, screening.status, screening.score, completed_at)


def pack(snapshots: Iterable[ScreeningSnapshot]) -> str:
    """Return snapshots as ASCII text; ten thousand whose ids count up take a few kB."""
    # Columns, not rows: ids that count up lie side by side, and LZMA leaves almost nothing of them.
    columns = [list(column) for column in zip(*snapshots, strict=True)]
    document = json.dumps(columns, separators=(",", ":")).encode()
    return base64.b64encode(lzma.compress(document)).decode()


def unpack(text: str) -> list[ScreeningSnapshot]:
    """Return what :func:`pack` packed; columns that an earlier version left out are None."""
    columns: list[list[Any]] = json.loads(lzma.decompress(base64.b64decode(text)))
    return [ScreeningSnapshot(*row) for row in zip(*columns, strict=True)]


def _iso(moment: datetime | None) -> str | None:
    return write_iso(moment) if moment else None
