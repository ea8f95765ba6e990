"""What can be created, and what each needs for that: how it is checked, sent and found again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from pihupulse_provider.api import endpoints
from pihupulse_provider.api.async_client import AsyncClient
from pihupulse_provider.api.endpoints import Call
from pihupulse_provider.api.errors import NotFoundError
from pihupulse_provider.api.models import Candidate, Item, NewCandidate, NewScreening, Screening
from pihupulse_provider.creating.candidate_input import CandidateInput, email_key
from pihupulse_provider.creating.cell_text import NotTextError, cell_text
from pihupulse_provider.creating.errors import DeletedError, InvalidRowError, Problem
from pihupulse_provider.creating.lookup import FoundScreening, ScreeningSearch, Since, find_candidates


class Parsed(NamedTuple):
    """What can be sent: the request's body as JSON, and what tells its object from others."""

    body: str
    key: tuple[str, ...]


class Found(NamedTuple):
    """An object that the service has.

    :ivar key: as that of :class:`Parsed`. ``at``: when it appeared (epoch seconds of the service's clock); None when
        nothing tells.
    :ivar not_before: when it can have appeared at the earliest; None when nothing tells.
    :ivar has_failed: whether it ended badly, so that it does not stand in the way of another.
    """

    id: str
    key: tuple[str, ...]
    at: float | None = None
    not_before: float | None = None
    has_failed: bool = False


class Search(NamedTuple):
    """What is looked for.

    :ivar since: it appeared after that; None for whatever there is.
    :ivar bodies: the requests in question; None when they are too many to be asked for one by one.
    :ivar is_new: returns which of some ids were not known before.
    """

    since: Since | None
    bodies: Sequence[str] | None
    is_new: Callable[[Collection[str]], set[str]]


class Resource(Protocol):
    """How objects of one kind are checked, sent and found.

    :ivar noun: what they are called. ``identified_by``: the field that tells them apart.
    """

    noun: str
    identified_by: str

    def check_columns(self, columns: Sequence[str] | None, *, has_schema: bool) -> None:
        """Check that the source has the columns. :raises SourceFormatError: naming those it lacks."""
        ...

    def parse(self, values: Mapping[str, Any]) -> Parsed:
        """Check a row. :raises InvalidRowError: with all problems of it."""
        ...

    def missing_columns(self) -> str:
        """Return which columns no row had that each must have, and what to do; empty if there are none."""
        ...

    def call(self, body: str) -> Call[Any]:
        """Return the request, from its body's JSON."""
        ...

    def find(self, client: AsyncClient, search: Search) -> AsyncIterator[list[Found]]:
        """Yield what is looked for, and perhaps more."""
        ...

    async def fetch(self, client: AsyncClient, object_id: str, body: str) -> Any:
        """Return an object that is known to have been there. :raises DeletedError: if it is no more."""
        ...


class CandidateResource:
    """Candidates, known by their e-mail address.

    :param candidates: makes them out of rows.
    """

    noun = "candidate"
    identified_by = "email"

    def __init__(self, candidates: CandidateInput) -> None:
        self._input = candidates

    def check_columns(self, columns: Sequence[str] | None, *, has_schema: bool) -> None:
        """Check that the source has the columns."""
        self._input.check_columns(columns, has_schema=has_schema)

    def parse(self, values: Mapping[str, Any]) -> Parsed:
        """Check a row."""
        return self.parsed(self._input.read(values))

    def missing_columns(self) -> str:
        """Return which columns no row had that each must have."""
        return self._input.missing_columns()

    @staticmethod
    def parsed(candidate: NewCandidate) -> Parsed:
        """Return what is sent of a candidate that was checked."""
        return Parsed(candidate.model_dump_json(exclude_none=True), (email_key(candidate.email),))

    def call(self, body: str) -> Call[Candidate]:
        """Return the request that creates it."""
        return endpoints.create_candidate(NewCandidate.model_validate_json(body))

    async def find(self, client: AsyncClient, search: Search) -> AsyncIterator[list[Found]]:
        """Yield the candidates created since then, and perhaps older ones."""
        async for candidates in find_candidates(client, search.since):
            created = ((one, _epoch(one.created_at)) for one in candidates)
            yield [Found(one.id, (email_key(one.email),), at, at) for one, at in created if one.email is not None]

    async def fetch(self, client: AsyncClient, object_id: str, body: str) -> Candidate:
        """Return it, by its id."""
        try:
            return await client.get_candidate(object_id)
        except NotFoundError as error:
            raise DeletedError(self.noun, f"candidate {object_id} is not", ids=[object_id]) from error


class ScreeningResource:
    """Screenings of many candidates by one template; a row is ``{"candidate_id": …}``.

    :param failed_statuses: after which a candidate may be screened once more, upper and lower case alike.
    """

    noun = "screening"
    identified_by = "candidate_id"

    def __init__(
        self,
        template_id: str,
        job_title: str | None,
        *,
        send_invitation: bool | None,
        failed_statuses: Iterable[str] = (),
    ) -> None:
        self._template_id = template_id
        self._job_title = job_title
        self._send_invitation = send_invitation
        self._failed = {status.casefold() for status in failed_statuses}
        self._search = ScreeningSearch()

    def check_columns(self, columns: Sequence[str] | None, *, has_schema: bool) -> None:
        """Take any columns: a row without a candidate is a problem of its own."""

    def parse(self, values: Mapping[str, Any]) -> Parsed:
        """Check a row."""
        try:
            candidate_id = cell_text(values.get("candidate_id"))
        except NotTextError as error:
            raise InvalidRowError([Problem("candidate_id", str(error))]) from None
        if candidate_id is None:
            raise InvalidRowError([Problem("candidate_id", "is missing")])
        screening = NewScreening(
            candidate_id=candidate_id,
            template_id=self._template_id,
            job_title=self._job_title,
            send_invitation=self._send_invitation,
        )
        return Parsed(screening.model_dump_json(exclude_none=True), (candidate_id, self._template_id))

    def missing_columns(self) -> str:
        """Return nothing: the operator that reads the ids has named their column."""
        return ""

    def call(self, body: str) -> Call[Screening]:
        """Return the request that creates it, and has the candidate invited if that is wanted."""
        return endpoints.create_screening(NewScreening.model_validate_json(body))

    async def find(self, client: AsyncClient, search: Search) -> AsyncIterator[list[Found]]:
        """Yield the screenings of these candidates, whenever they were created: nothing tells that."""
        ids = None if search.bodies is None else [_candidate_of(body) for body in search.bodies]
        async for screenings in self._search.find(client, ids, search.since, search.is_new):
            yield [self._found(one) for one in screenings if ids or one.screening.template_id == self._template_id]

    async def fetch(self, client: AsyncClient, object_id: str, body: str) -> Screening:
        """Return it, by its id, with what its candidate's details tell of it."""
        candidate_id = _candidate_of(body)
        try:
            shown: Iterable[Item] | None = (await client.get_candidate(candidate_id)).screenings
        except NotFoundError as error:
            raise DeletedError(self.noun, f"candidate {candidate_id} is not", ids=[candidate_id]) from error
        if shown is None:
            shown = (await self._search.listed(client, {object_id})).values()
        for one in shown:
            if one.id == object_id:
                known = {**one.public(), "candidate_id": candidate_id, "template_id": self._template_id}
                return Screening.model_validate(known)
        raise DeletedError(self.noun, f"screening {object_id} is not", ids=[object_id])

    def _found(self, found: FoundScreening) -> Found:
        one = found.screening
        return Found(
            one.id,
            (one.candidate_id or "", one.template_id or ""),
            at=_epoch(one.started_at or one.completed_at),
            not_before=_epoch(found.candidate_created_at),
            has_failed=(one.status or "").casefold() in self._failed,
        )


def _epoch(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None


def _candidate_of(body: str) -> str:
    return NewScreening.model_validate_json(body).candidate_id
