"""What the rows of candidates and of screenings need each, to be created in bulk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pihupulse_provider.api import endpoints
from pihupulse_provider.api.async_client import AsyncClient
from pihupulse_provider.api.endpoints import Call
from pihupulse_provider.api.errors import BadRequestError, ClientError, NotFoundError, PihuPulseError
from pihupulse_provider.api.models import Candidate, NewCandidate, NewScreening, Screening
from pihupulse_provider.api.server_time import ServerTime
from pihupulse_provider.creating.candidate_input import CandidateInput, email_key
from pihupulse_provider.creating.errors import InvalidRowError, Problem
from pihupulse_provider.creating.lookup import Walk, advance, recent_candidates
from pihupulse_provider.creating.screening_search import find_screenings
from pihupulse_provider.exporting.list_reader import ListReader

Found = tuple[str, tuple[str, ...], float | None]
"""An id, the natural key, and when it appeared (our epoch seconds; None when nothing tells)."""


class Parsed(NamedTuple):
    """A row that can be sent: the request's body as JSON, and what tells its object from others."""

    body: str
    key: tuple[str, ...]


class Resource(Protocol):
    """How rows of one kind are checked, sent and found.

    :ivar noun: what they are called. ``refusals``: the errors that are the row's own fault.
    """

    noun: str
    refusals: tuple[type[PihuPulseError], ...]

    def check_columns(self, columns: Sequence[str]) -> None:
        """Check that the source has the columns. :raises SourceError: naming those it lacks."""
        ...

    def parse(self, values: Mapping[str, Any]) -> Parsed:
        """Check a row. :raises InvalidRowError: with all problems of it."""
        ...

    def call(self, body: str) -> Call[Any]:
        """Return the request, from its body's JSON."""
        ...

    def find(
        self, client: AsyncClient, since: float | None, bodies: Sequence[str] | None
    ) -> AsyncIterator[list[Found]]:
        """Yield what appeared since then (our epoch seconds; None for everything), and perhaps more.

        :param bodies: the requests in question, if they are few.
        """
        ...


class CandidateResource:
    """Candidates, known by their e-mail address.

    :param candidates: makes them out of rows.
    """

    noun = "candidate"
    refusals: tuple[type[PihuPulseError], ...] = (BadRequestError, ClientError)

    def __init__(self, candidates: CandidateInput) -> None:
        self._input = candidates

    def check_columns(self, columns: Sequence[str]) -> None:
        """Check that the source has the columns."""
        self._input.check_columns(columns)

    def parse(self, values: Mapping[str, Any]) -> Parsed:
        """Check a row."""
        candidate = self._input.read(values)
        return Parsed(candidate.model_dump_json(exclude_none=True), (email_key(candidate.email),))

    def call(self, body: str) -> Call[Candidate]:
        """Return the request that creates it."""
        return endpoints.create_candidate(NewCandidate.model_validate_json(body))

    async def find(
        self, client: AsyncClient, since: float | None, bodies: Sequence[str] | None
    ) -> AsyncIterator[list[Found]]:
        """Yield the candidates created since then, and perhaps older ones."""
        if since is None:
            sweep = ListReader(client, lambda page, limit: endpoints.list_candidates(page, limit, "all"))
            async for candidates in sweep.rows():
                yield _found(candidates, sweep.time)
            return
        time = ServerTime(client.limit.now)
        batch: list[Candidate] = []
        async for _ in _walk(client, recent_candidates(since, time, batch.append)):
            yield _found(batch, time)
            batch.clear()


class ScreeningResource:
    """Screenings of many candidates by one template; a row is ``{"candidate_id": …}``."""

    noun = "screening"
    refusals: tuple[type[PihuPulseError], ...] = (BadRequestError, ClientError, NotFoundError)

    def __init__(self, template_id: str, job_title: str | None, *, send_invitation: bool) -> None:
        self._template_id = template_id
        self._job_title = job_title
        self._send_invitation = send_invitation

    def check_columns(self, columns: Sequence[str]) -> None:
        """Take any columns: a row without a candidate is a problem of its own."""

    def parse(self, values: Mapping[str, Any]) -> Parsed:
        """Check a row."""
        candidate_id = str(values.get("candidate_id") or "").strip()
        if not candidate_id:
            raise InvalidRowError([Problem("candidate_id", "is missing")])
        screening = NewScreening(
            candidate_id=candidate_id,
            template_id=self._template_id,
            job_title=self._job_title,
            send_invitation=self._send_invitation,
        )
        return Parsed(screening.model_dump_json(exclude_none=True), (candidate_id, self._template_id))

    def call(self, body: str) -> Call[Screening]:
        """Return the request that creates it."""
        return endpoints.create_screening(NewScreening.model_validate_json(body))

    async def find(
        self, client: AsyncClient, since: float | None, bodies: Sequence[str] | None
    ) -> AsyncIterator[list[Found]]:
        """Yield the screenings by the template, whenever they were created: nothing tells that."""
        ids = None if bodies is None else [NewScreening.model_validate_json(body).candidate_id for body in bodies]
        async for screenings in find_screenings(client, ids):
            yield [
                (one.id, (one.candidate_id, self._template_id), began_at)
                for one, began_at in screenings
                if one.template_id == self._template_id and one.candidate_id is not None
            ]


def _found(candidates: Sequence[Candidate], time: ServerTime) -> list[Found]:
    return [(one.id, (email_key(one.email),), time.ours(one.created_at)) for one in candidates if one.email is not None]


async def _walk(client: AsyncClient, walk: Walk[Candidate]) -> AsyncIterator[None]:
    number: int | None = next(walk)
    while number is not None:
        number = advance(walk, await client.run(endpoints.list_candidates(number, status="all")))
        yield
