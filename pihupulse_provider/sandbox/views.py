"""How rows and events look in JSON (API reference, "API Endpoints" and "Webhook Payload")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pihupulse_provider.sandbox.clock import Clock
from pihupulse_provider.sandbox.data import Template, background, findings, score_of
from pihupulse_provider.sandbox.events import Event
from pihupulse_provider.sandbox.records import Candidate, Screening


class Views:
    """The documented shapes of an account's rows."""

    def __init__(
        self, clock: Clock, seed: int, candidates: Mapping[str, Candidate], templates: Mapping[str, Template]
    ) -> None:
        self._clock = clock
        self._seed = seed
        self._candidates = candidates
        self._templates = templates

    def listed_candidate(self, candidate: Candidate) -> dict[str, Any]:
        """Return a candidate as ``GET /candidates`` shows it."""
        return {
            "id": candidate.id,
            "name": candidate.name,
            "email": candidate.email,
            "phone": candidate.phone,
            "status": candidate.status,
            **self._dates(candidate),
        }

    def created_candidate(self, candidate: Candidate) -> dict[str, Any]:
        """Return a candidate as ``POST /candidates`` returns it."""
        return {**self.listed_candidate(candidate), "resume_url": _resume_url(candidate)}

    def detailed_candidate(self, candidate: Candidate) -> dict[str, Any]:
        """Return a candidate as ``GET /candidates/:id`` shows it."""
        return {
            **self.created_candidate(candidate),
            **background(self._seed, candidate.serial),
            "screenings": [self._brief(screening) for screening in candidate.screenings],
        }

    def screening(self, screening: Screening) -> dict[str, Any]:
        """Return a screening as ``GET /screenings`` shows it."""
        brief = self._brief(screening)
        started = screening.started(self._clock.now())
        return {
            "id": screening.id,
            "candidate_id": screening.candidate_id,
            "template_id": screening.template_id,
            "status": brief["status"],
            "score": brief["score"],
            "started_at": self._timestamp(screening.starts_at) if started else None,
            "completed_at": brief["completed_at"],
        }

    def report(self, screening: Screening) -> dict[str, Any]:
        """Return the report of a completed screening."""
        candidate = self._candidates[screening.candidate_id]
        template = self._templates[screening.template_id]
        score = self._score(screening)
        return {
            "screening_id": screening.id,
            "candidate_id": candidate.id,
            "candidate_name": candidate.name,
            "template_id": template.id,
            "template_name": template.name,
            "score": score,
            "completed_at": self._timestamp(screening.ends_at),
            **findings(self._seed, screening.serial, candidate.name, template, score),
        }

    def candidate_created(self, candidate: Candidate) -> Event:
        """Return the event of a new candidate."""
        created_at = self._timestamp(candidate.created_at)
        data = {
            "candidate_id": candidate.id,
            "name": candidate.name,
            "email": candidate.email,
            "status": candidate.status,
            "created_at": created_at,
        }
        return Event("candidate.created", created_at, data)

    def screening_created(self, screening: Screening) -> Event:
        """Return the event of a new screening."""
        data = {**_ids(screening), "status": "pending"}
        return Event("screening.created", self._timestamp(screening.created_at), data)

    def screening_started(self, screening: Screening) -> Event:
        """Return the event of a screening that was started."""
        started_at = self._timestamp(screening.starts_at)
        return Event("screening.started", started_at, {**_ids(screening), "started_at": started_at})

    def screening_completed(self, screening: Screening) -> list[Event]:
        """Return the two events of a completed screening."""
        completed_at = self._timestamp(screening.ends_at)
        data = {**_ids(screening), "score": self._score(screening)}
        return [
            Event("screening.completed", completed_at, {**data, "completed_at": completed_at}),
            Event("report.generated", completed_at, {**data, "generated_at": completed_at}),
        ]

    def _brief(self, screening: Screening) -> dict[str, Any]:
        now = self._clock.now()
        completed = screening.completed(now)
        return {
            "id": screening.id,
            "status": screening.status(now),
            "score": self._score(screening) if completed else None,
            "completed_at": self._timestamp(screening.ends_at) if completed else None,
        }

    def _dates(self, candidate: Candidate) -> dict[str, str]:
        now = self._clock.now()
        ends = [s.ends_at for s in candidate.screenings if s.ends_at is not None and s.completed(now)]
        return {
            "created_at": self._timestamp(candidate.created_at),
            "updated_at": self._timestamp(max([candidate.updated_at, *ends])),
        }

    def _score(self, screening: Screening) -> int:
        return score_of(self._seed, screening.serial) if screening.score is None else screening.score

    def _timestamp(self, at: float | None) -> str:
        return self._clock.timestamp(at if at is not None else self._clock.now())


def _ids(screening: Screening) -> dict[str, Any]:
    return {
        "screening_id": screening.id,
        "candidate_id": screening.candidate_id,
        "template_id": screening.template_id,
    }


def _resume_url(candidate: Candidate) -> str | None:
    return f"https://storage.pihupulse.com/resumes/{candidate.id}.pdf" if candidate.has_resume else None
