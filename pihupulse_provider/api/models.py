"""The objects of the API reference ("API Endpoints"), read leniently.

Every field but the ids may be missing, or hold what the reference does not describe (it is then ``None``), and a field
that the reference does not name is kept.
:meth:`Model.public` is what may be logged, rendered or put into an XCom: the documented fields less the personal ones.
"""

from __future__ import annotations

from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, Self, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pihupulse_provider.api.clock import with_zone
from pihupulse_provider.api.leniency import fitted

__all__ = [
    "Candidate",
    "CandidateScreening",
    "Education",
    "NewCandidate",
    "NewScreening",
    "Page",
    "PageMeta",
    "Report",
    "Screening",
    "SkillScore",
    "Template",
]

_MOST_PAGES = 100_000
"""Ten million rows, 100 a page."""
PERSONAL = "personal"
"""Marks a field that tells who a person is, or how to reach them."""

Personal = Annotated[str | None, Field(default=None, repr=False), PERSONAL]
Score = Annotated[int, Field(ge=-(2**63), lt=2**63)] | float | None
"""Whole up to 64 bits: Airflow carries no greater whole number from a task or a trigger to its database."""


Timestamp = Annotated[datetime, AfterValidator(with_zone)] | None
"""A moment; the reference's are in UTC, and so is one that came without a zone."""


class Model(BaseModel):
    """Anything the service sends or takes."""

    model_config = ConfigDict(
        extra="allow", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    def __repr_args__(self) -> Any:
        """Show documented fields only: an unknown one may well be personal."""
        return [(name, value) for name, value in super().__repr_args__() if name in type(self).model_fields]

    @classmethod
    def personal_fields(cls) -> frozenset[str]:
        """Return the names of the personal fields."""
        return frozenset(name for name, field in cls.model_fields.items() if PERSONAL in field.metadata)

    def public(self) -> dict[str, Any]:
        """Return the documented fields as plain JSON values, without the personal ones."""
        documented = set(type(self).model_fields) - self.personal_fields()
        plain = self.model_dump(mode="json", include=documented)
        return {name: _public(getattr(self, name), value) for name, value in plain.items()}

    def document(self) -> dict[str, Any]:
        """Return everything the service sent as plain JSON values, personal fields included."""
        return self.model_dump(mode="json", exclude_unset=True)


def _public(value: Any, plain: Any) -> Any:
    if isinstance(value, Model):
        return value.public()
    if isinstance(value, list):
        return [_public(one, plain_one) for one, plain_one in zip(value, plain, strict=True)]
    return plain


def value_types(annotation: Any) -> set[Any]:
    """Return the types that a field's annotation stands for, without ``None`` and ``Annotated``."""
    parts = set(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else {annotation}
    return {get_args(part)[0] if get_origin(part) is Annotated else part for part in parts} - {NoneType}


class Received(Model):
    """Anything the service sends."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the model of a document; an optional field in which something does not fit is None."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            return super().model_validate(fitted(cls, obj, error), **options)


class Item(Received):
    """Anything that has an id of its own."""

    id: str


class Education(Received):
    """One entry of a candidate's education."""

    institution: str | None = None
    degree: str | None = None
    year: int | None = None


class CandidateScreening(Item):
    """A screening as its candidate's details show it ("Get Candidate")."""

    status: str | None = None
    score: Score = None
    completed_at: Timestamp = None


class Candidate(Item):
    """A candidate; the fields from ``resume_url`` on are only in the details ("Get Candidate")."""

    name: Personal
    email: Personal
    phone: Personal
    status: str | None = None
    resume_url: Personal
    skills: list[str] | None = None
    experience_years: int | float | None = None
    education: list[Education] | None = None
    screenings: list[CandidateScreening] | None = None
    created_at: Timestamp = None
    updated_at: Timestamp = None


class NewCandidate(Model):
    """The body of "Create Candidate"."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(repr=False), PERSONAL]
    email: Annotated[str, Field(repr=False), PERSONAL]
    phone: Personal
    resume_url: Personal


class Screening(Item):
    """A screening as the list shows it ("List Screenings"); any status is kept as it came."""

    candidate_id: str | None = None
    template_id: str | None = None
    status: str | None = None
    score: Score = None
    started_at: Timestamp = None
    completed_at: Timestamp = None


class NewScreening(Model):
    """The body of "Create Screening"; ``send_invitation`` mails the candidate."""

    model_config = ConfigDict(extra="forbid")

    candidate_id: str
    template_id: str
    job_title: str | None = None
    send_invitation: bool | None = None


class Template(Item):
    """A screening template ("List Templates"); ``duration_minutes`` is in minutes."""

    name: str | None = None
    description: str | None = None
    duration_minutes: int | float | None = None
    question_count: int | None = None
    created_at: Timestamp = None
    updated_at: Timestamp = None


class SkillScore(Received):
    """One skill's part of a report."""

    skill: str | None = None
    score: Score = None
    max_score: Score = None


class Report(Received):
    """A completed screening's report ("Get Screening Report"); its summary names the candidate."""

    screening_id: str
    candidate_id: str | None = None
    candidate_name: Personal
    template_id: str | None = None
    template_name: str | None = None
    score: Score = None
    completion_time_minutes: int | float | None = None
    completed_at: Timestamp = None
    skill_scores: list[SkillScore] | None = None
    summary: Personal
    strengths: list[str] | None = None
    areas_for_improvement: list[str] | None = None
    recommendation: str | None = None


class PageMeta(Received):
    """Where a page stands in its list; believed over what was asked for."""

    current_page: int | None = None
    total_pages: int | None = None
    total_count: int | None = None
    per_page: int | None = None


ItemT = TypeVar("ItemT", bound=Item)


class Page(Received, Generic[ItemT]):
    """One page of a list, and the moment the server made it (its ``Date`` header; None when it sent none)."""

    data: list[ItemT]
    meta: PageMeta = PageMeta()
    served_at: datetime | None = None

    @property
    def total_pages(self) -> int:
        """Return how many pages the list has: never more than its rows fill, nor more than 100,000.

        A page without rows is beyond the end. When the service tells neither, it is 1.
        """
        pages, rows, size, number = (
            self.meta.total_pages,
            self.meta.total_count,
            self.meta.per_page,
            self.meta.current_page,
        )
        if rows is not None and size is not None and size > 0:
            filled = -(-rows // size)
            pages = filled if pages is None else min(pages, filled)
        pages = pages or 1
        if not self.data and number is not None:
            pages = min(pages, number - 1)
        return max(1, min(pages, _MOST_PAGES))
