"""The seven documented endpoints as data (API reference, "API Endpoints"): nothing else is ever called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pihupulse_provider.api.errors import ConfigurationError, kind_of
from pihupulse_provider.api.logs import shown_id
from pihupulse_provider.api.models import (
    Candidate,
    Model,
    NewCandidate,
    NewScreening,
    Page,
    Report,
    Screening,
    Template,
)

ResultT = TypeVar("ResultT", bound=Model)
MAX_PAGE_SIZE = 100
"""The largest ``limit`` of a list (API reference, "List Candidates")."""
LONGEST_ID = 255
"""Characters; a longer text is no id but a mistake."""
CANDIDATE_STATUSES = ("active", "archived", "all")
"""What a list of candidates can be filtered by (API reference, "List Candidates")."""


@dataclass(frozen=True)
class Call(Generic[ResultT]):
    """One request that the reference documents, and what it responds with.

    :ivar name: the endpoint's name in messages; it holds no id and no value.
    :ivar result: the model of the response.
    :ivar enveloped: whether the model is what stands under ``data``, rather than the whole response.
    :ivar asked_for: the ids that the request names, for messages; None when it names nothing that can be missing.
    :ivar absent: what a 404 says of them.
    :ivar repeatable: whether doing it twice does no harm.
    """

    name: str
    method: str
    path: str
    result: type[ResultT]
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Model | None = None
    enveloped: bool = True
    asked_for: str | None = None
    absent: str = "There is none with that id"

    @property
    def repeatable(self) -> bool:
        """Return whether the request changes nothing."""
        return self.method == "GET"

    @property
    def subject(self) -> str:
        """Return what messages call the request: the endpoint, and the ids that it names."""
        return f"{self.name} for {self.asked_for}" if self.asked_for else self.name


def list_candidates(page: int = 1, limit: int = MAX_PAGE_SIZE, status: str | None = None) -> Call[Page[Candidate]]:
    """GET /candidates."""
    if status is not None and status not in CANDIDATE_STATUSES:
        raise ConfigurationError(f"status is {status!r}: candidates can be listed by {', '.join(CANDIDATE_STATUSES)}.")
    params = {**_page(page, limit), **({"status": status} if status else {})}
    return Call("GET /candidates", "GET", "/candidates", Page[Candidate], params, enveloped=False)


def get_candidate(candidate_id: str | int) -> Call[Candidate]:
    """GET /candidates/:id."""
    wanted = _id(candidate_id, "candidate_id")
    path = f"/candidates/{quote(wanted, safe='')}"
    return Call("GET /candidates/:id", "GET", path, Candidate, asked_for=_named(candidate_id=wanted))


def create_candidate(candidate: NewCandidate) -> Call[Candidate]:
    """POST /candidates."""
    return Call("POST /candidates", "POST", "/candidates", Candidate, body=candidate)


def list_screenings(page: int = 1, limit: int = MAX_PAGE_SIZE) -> Call[Page[Screening]]:
    """GET /screenings."""
    return Call("GET /screenings", "GET", "/screenings", Page[Screening], _page(page, limit), enveloped=False)


def create_screening(screening: NewScreening) -> Call[Screening]:
    """POST /screenings."""
    named = _named(candidate_id=screening.candidate_id, template_id=screening.template_id)
    absent = "There is no such candidate, or no such template"
    return Call("POST /screenings", "POST", "/screenings", Screening, body=screening, asked_for=named, absent=absent)


def list_templates() -> Call[Page[Template]]:
    """GET /templates."""
    return Call("GET /templates", "GET", "/templates", Page[Template], enveloped=False)


def get_report(screening_id: str | int) -> Call[Report]:
    """GET /screenings/:id/report."""
    wanted = _id(screening_id, "screening_id")
    return Call(
        "GET /screenings/:id/report",
        "GET",
        f"/screenings/{quote(wanted, safe='')}/report",
        Report,
        asked_for=_named(screening_id=wanted),
        absent="There is no screening with that id, or no report of it before it is completed",
    )


def _page(page: int, limit: int) -> dict[str, int]:
    if page < 1:
        raise ConfigurationError(f"page is {page}: pages are counted from 1.")
    if not 1 <= limit <= MAX_PAGE_SIZE:
        raise ConfigurationError(f"limit is {limit}: a page holds 1 to {MAX_PAGE_SIZE} results.")
    return {"page": page, "limit": limit}


def _id(value: object, argument: str) -> str:
    """Return an id as text: a table's or a JSON document's may be a whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ConfigurationError(f"{argument} is {kind_of(value)}: it must be the id that PihuPulse gave, a text.")
    is_text = not any("\ud800" <= character <= "\udfff" for character in value)
    if not (value.strip() and is_text) or value in (".", "..") or len(value) > LONGEST_ID:
        raise ConfigurationError(f"{_named(**{argument: value})} can't be used: it must be the id that PihuPulse gave.")
    return value


def _named(**ids: str) -> str:
    """Return ids as messages show them."""
    return ", ".join(f"{name} {shown_id(value)}" for name, value in ids.items())
