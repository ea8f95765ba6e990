"""What a candidate and a screening need each, to be created once: how to send, find and fetch them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

from pihupulse_provider.api import endpoints
from pihupulse_provider.api.client import Client
from pihupulse_provider.api.endpoints import Call
from pihupulse_provider.api.errors import UnconfirmedCreateError
from pihupulse_provider.api.models import (
    Candidate,
    CandidateScreening,
    ItemT,
    NewCandidate,
    NewScreening,
    Page,
    Screening,
)
from pihupulse_provider.api.server_time import ServerTime
from pihupulse_provider.creating.candidate_input import email_key
from pihupulse_provider.creating.lookup import Walk, advance, every_page_from_both_ends, recent_candidates

Unclaimed = Callable[[Collection[str]], set[str]]
"""Returns which of these ids nobody else is known to have created."""
_SWEEPS = 2
"""How often the list is read before a screening that only its candidate shows is given up."""
_LONG = 3600.0
"""Seconds that no two clocks are apart."""

KindT = TypeVar("KindT", Candidate, Screening)


class Kind(Protocol[KindT]):
    """How to create one object, and how to find it among those created lately.

    :ivar noun: what it is called. ``identity``: what tells it from others within a job.
    """

    noun: str
    identity: tuple[str, ...]

    def post(self) -> KindT:
        """Create it."""
        ...

    def find(self, since: float | None, unclaimed: Unclaimed) -> list[KindT]:
        """Return what may be it, created since then (our epoch seconds)."""
        ...

    def fetch(self, object_id: str) -> KindT:
        """Return it, by its id."""
        ...


class CandidateKind:
    """A candidate, known by its e-mail address."""

    noun = "candidate"

    def __init__(self, client: Client, candidate: NewCandidate) -> None:
        self._client = client
        self._candidate = candidate
        self._email = email_key(candidate.email)
        self.identity: tuple[str, ...] = (self._email,)

    def post(self) -> Candidate:
        """Create it."""
        return self._client.create_candidate(self._candidate)

    def find(self, since: float | None, unclaimed: Unclaimed) -> list[Candidate]:
        """Return the candidates with its address that were created since then."""
        time = ServerTime(self._client.limit.now)
        same: dict[str, Candidate] = {}

        def take(candidate: Candidate) -> None:
            if candidate.email is not None and email_key(candidate.email) == self._email:
                same[candidate.id] = candidate

        _walk(self._client, recent_candidates(since, time, take), _candidates_page)
        ours = {made.id for made in same.values() if not time.is_before(made.created_at, since)}
        return [same[object_id] for object_id in sorted(unclaimed(ours))]

    def fetch(self, object_id: str) -> Candidate:
        """Return it, by its id."""
        return self._client.get_candidate(object_id)


class ScreeningKind:
    """A screening, known by its candidate and template."""

    noun = "screening"

    def __init__(self, client: Client, screening: NewScreening) -> None:
        self._client = client
        self._screening = screening
        self.identity: tuple[str, ...] = (screening.candidate_id, screening.template_id)

    def post(self) -> Screening:
        """Create it, and have the candidate invited if that is wanted."""
        return self._client.create_screening(self._screening)

    def find(self, since: float | None, unclaimed: Unclaimed) -> list[Screening]:
        """Return the candidate's screenings by this template that did not begin before then.

        The candidate's own list tells cheaply that there is none; only the list of all screenings tells templates.
        """
        shown = self._client.get_candidate(self._screening.candidate_id).screenings
        wanted = None if shown is None else unclaimed({one.id for one in shown if not _is_long_done(one, since)})
        if wanted is not None and not wanted:
            return []
        time = ServerTime(self._client.limit.now)
        listed = self._listed(wanted, time)
        if wanted is None:
            wanted = unclaimed(listed)
        return [
            screening
            for screening in listed.values()
            if screening.id in wanted
            and screening.template_id == self._screening.template_id
            and not began_before(screening, since, time)
        ]

    def fetch(self, object_id: str) -> Screening:
        """Return it, by its id, with what its candidate's details tell of it."""
        shown = self._client.get_candidate(self._screening.candidate_id).screenings or []
        known = next((screening.public() for screening in shown if screening.id == object_id), {"id": object_id})
        template = {"candidate_id": self._screening.candidate_id, "template_id": self._screening.template_id}
        return Screening(**known, **template)

    def _listed(self, wanted: set[str] | None, time: ServerTime) -> dict[str, Screening]:
        found: dict[str, Screening] = {}

        def take(page: Page[Screening]) -> bool:
            time.see(page.served_at)
            found.update({one.id: one for one in page.data if one.candidate_id == self._screening.candidate_id})
            return wanted is not None and wanted <= found.keys()

        for _ in range(_SWEEPS):
            _walk(self._client, every_page_from_both_ends(take), _screenings_page)
            if wanted is None or wanted <= found.keys():
                return found
        missing = wanted - found.keys() if wanted else ()
        raise UnconfirmedCreateError(
            f"Candidate {self._screening.candidate_id} has screenings that the list does not show "
            f"({', '.join(sorted(missing))}), so nobody can say whether this one exists already. Nothing was "
            "created. A retry of the task looks again."
        )


def began_before(screening: Screening, since: float | None, time: ServerTime) -> bool:
    """Return whether a screening was started or completed before then, and so is an earlier one."""
    return time.is_before(screening.started_at, since) or time.is_before(screening.completed_at, since)


def _is_long_done(screening: CandidateScreening, since: float | None) -> bool:
    done = screening.completed_at
    return done is not None and since is not None and done.timestamp() < since - _LONG


def _walk(client: Client, walk: Walk[ItemT], call: Callable[[int], Call[Page[ItemT]]]) -> None:
    number: int | None = next(walk)
    while number is not None:
        number = advance(walk, client.run(call(number)))


def _candidates_page(number: int) -> Call[Page[Candidate]]:
    return endpoints.list_candidates(number, status="all")


def _screenings_page(number: int) -> Call[Page[Screening]]:
    return endpoints.list_screenings(number)
