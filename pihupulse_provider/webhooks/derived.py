"""The events that lists imply: what PihuPulse would have sent, as far as lists show it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic

from pihupulse_provider.api import endpoints
from pihupulse_provider.api.endpoints import Call
from pihupulse_provider.api.events import (
    CANDIDATE_CREATED,
    REPORT_GENERATED,
    SCREENING_COMPLETED,
    SCREENING_CREATED,
    SCREENING_STARTED,
)
from pihupulse_provider.api.iso_time import write_iso
from pihupulse_provider.api.models import Candidate, ItemT, Page, Screening


@dataclass(frozen=True)
class Step:
    """One stage that a candidate or a screening has reached.

    :ivar at: when, by PihuPulse's clock; None where the list does not show it.
    :ivar events: what is told of it.
    """

    stage: int
    at: datetime | None
    events: tuple[str, ...]
    data: dict[str, Any]

    def bodies(self) -> Iterator[bytes]:
        """Yield the events as raw bodies; the same step always gives the same bytes."""
        for event in self.events:
            created_at = {"created_at": write_iso(self.at)} if self.at else {}
            yield json.dumps({"event": event, **created_at, "data": self.data}).encode()


@dataclass(frozen=True)
class Followed(Generic[ItemT]):
    """A list that events are derived from.

    :ivar page: makes the call for a page of it.
    :ivar steps: returns the stages that a row has reached, in their order.
    """

    kind: str
    events: tuple[str, ...]
    page: Callable[[int], Call[Page[ItemT]]]
    steps: Callable[[ItemT], list[Step]]


def candidate_steps(candidate: Candidate) -> list[Step]:
    """Return the one stage of a candidate; the event holds nothing personal."""
    return [Step(1, candidate.created_at, (CANDIDATE_CREATED,), {"candidate_id": candidate.id})]


def screening_steps(screening: Screening) -> list[Step]:
    """Return the stages that a screening has reached; a completed one has a report."""
    ids = {
        "screening_id": screening.id,
        "candidate_id": screening.candidate_id,
        "template_id": screening.template_id,
    }
    steps = [Step(1, None, (SCREENING_CREATED,), ids)]
    if screening.started_at:
        steps.append(Step(2, screening.started_at, (SCREENING_STARTED,), ids))
    if screening.completed_at:
        result = {**ids, "score": screening.score, "completed_at": write_iso(screening.completed_at)}
        steps.append(Step(3, screening.completed_at, (SCREENING_COMPLETED, REPORT_GENERATED), result))
    return steps


CANDIDATES = Followed(
    "candidates",
    (CANDIDATE_CREATED,),
    lambda number: endpoints.list_candidates(number, endpoints.MAX_PAGE_SIZE, "all"),
    candidate_steps,
)
SCREENINGS = Followed(
    "screenings",
    (SCREENING_CREATED, SCREENING_STARTED, SCREENING_COMPLETED, REPORT_GENERATED),
    endpoints.list_screenings,
    screening_steps,
)
