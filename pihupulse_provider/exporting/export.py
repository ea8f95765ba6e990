"""Reading everything of a kind out of PihuPulse into a file."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pihupulse_provider.api import endpoints
from pihupulse_provider.api.async_client import AsyncClient, as_they_come
from pihupulse_provider.api.errors import ConfigurationError, NotFoundError, check_choice
from pihupulse_provider.api.logs import Progress, counted, named
from pihupulse_provider.api.models import Candidate, Model, Report, Screening, Template
from pihupulse_provider.api.transport import CONCURRENCY
from pihupulse_provider.exporting.file_formats import Writer
from pihupulse_provider.exporting.list_reader import ListReader

log = logging.getLogger(__name__)
MODELS: dict[str, type[Model]] = {
    "candidates": Candidate,
    "screenings": Screening,
    "reports": Report,
    "templates": Template,
}
"""What can be exported."""
DETAILS = frozenset({"resume_url", "skills", "experience_years", "education", "screenings"})
"""The fields of a candidate that are not in the list (API reference, "List Candidates", "Get Candidate")."""
_OVERLAP = timedelta(minutes=1)
_LATEST_REPORT = timedelta(days=1)
"""How long after its screening a report is waited for: each run until then fetches again what was completed since."""
_COMPLETED = "completed"
_GROUP = 20 * CONCURRENCY

RowT = TypeVar("RowT", bound=Model)
FetchedT = TypeVar("FetchedT", bound=Model)


@dataclass
class Export:
    """One export.

    :param resource: one of ``MODELS``. :param client: reads it. :param detail: whether to fetch each candidate whole.
    :param status: which candidates: ``active``, ``archived`` or ``all``, which is what None stands for.
    :param since: leaves out what has not changed since then; None for everything.
    :ivar rows: how many rows were written. :ivar watermark: what to give as ``since`` the next time.
    :ivar seconds: how long it took. :ivar progress: how far it is, in whichever thread.
    """

    resource: str
    client: AsyncClient
    detail: bool = False
    status: str | None = None
    since: datetime | None = None
    rows: int = field(default=0, init=False)
    watermark: datetime | None = field(default=None, init=False)
    seconds: float = field(default=0.0, init=False)
    progress: Progress = field(init=False)
    _unready: dict[str, datetime] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.progress = Progress(f"Exporting {self.resource}", self.client.limit.now)

    async def run(self, writer: Writer) -> None:
        """Read everything, and write it as it comes.

        :raises IncompleteReadError: if the list can't be read whole. :raises PihuPulseError: if the service fails.
        """
        async for rows in self._rows():
            writer.write(rows)
            self.rows += len(rows)
            self.progress.advance(len(rows))
        self.seconds = round(self.progress.seconds, 3)

    def _rows(self) -> AsyncIterator[Sequence[Model]]:
        if self.resource == "templates":
            return self._templates()
        if self.resource == "candidates":
            status = self.status or "all"
            # A candidate who is archived or made active again enters the list of a status at their old place.
            listed = self._listed(
                lambda page, limit: endpoints.list_candidates(page, limit, status), rows_return=status != "all"
            )
            return self._fetched(listed, self._candidate) if self.detail else listed
        screenings = self._listed(endpoints.list_screenings)
        return self._fetched(screenings, self._report) if self.resource == "reports" else screenings

    async def _templates(self) -> AsyncIterator[Sequence[Template]]:
        page = await self.client.run(endpoints.list_templates())
        self._set_watermark(page.served_at)
        yield [template for template in page.data if self._is_new(template)]

    async def _listed(self, call: Any, *, rows_return: bool = False) -> AsyncIterator[Sequence[Any]]:
        reader: ListReader[Any] = ListReader(self.client, call, rows_return=rows_return)
        async for rows in reader.rows():
            self.progress.of = reader.total if self.since is None else None
            yield [row for row in rows if self._is_new(row)]
        self._set_watermark(reader.served_at)

    async def _fetched(
        self, listed: AsyncIterator[Sequence[RowT]], fetch: Callable[[RowT], Awaitable[FetchedT | None]]
    ) -> AsyncIterator[Sequence[FetchedT]]:
        async for rows in _grouped(listed):
            yield [one async for one in as_they_come(rows, fetch) if one is not None]
        if self.watermark is not None:
            self.watermark = self._held_back(self.watermark)

    def _held_back(self, watermark: datetime) -> datetime:
        """Return the watermark that also finds the reports that are to be expected."""
        late = {screening: at for screening, at in self._unready.items() if at > watermark - _LATEST_REPORT}
        given_up = self._unready.keys() - late.keys()
        if late:
            log.info("%s no report yet; the watermark waits for that.", _have(len(late)))
        if given_up:
            log.warning(
                "%s no report more than a day later, and the watermark no longer waits for one: %s.",
                _have(len(given_up)),
                named(sorted(given_up)),
            )
        return min(watermark, *late.values()) if late else watermark

    async def _candidate(self, listed: Candidate) -> Candidate | None:
        try:
            return await self.client.get_candidate(listed.id)
        except NotFoundError:  # it was removed since it was listed
            return None

    async def _report(self, screening: Screening) -> Report | None:
        if (screening.status or "").casefold() != _COMPLETED:
            return None
        try:
            return await self.client.get_report(screening.id)
        except NotFoundError:
            if screening.completed_at is not None:
                self._unready[screening.id] = screening.completed_at
            return None

    def _is_new(self, row: Candidate | Screening | Template) -> bool:
        return self.since is None or (changed := changed_at(row)) is None or changed >= self.since

    def _set_watermark(self, served_at: datetime | None) -> None:
        began = served_at or datetime.fromtimestamp(self.client.limit.now(), UTC)
        self.watermark = began - _OVERLAP


def _have(screenings: int) -> str:
    return f"{counted(screenings, 'completed screening')} {'has' if screenings == 1 else 'have'}"


async def _grouped(listed: AsyncIterator[Sequence[RowT]]) -> AsyncIterator[list[RowT]]:
    # Pages of which little is wanted would leave most of the requests in flight unused.
    group: list[RowT] = []
    async for rows in listed:
        group.extend(rows)
        if len(group) >= _GROUP:
            yield group
            group = []
    yield group


def changed_at(row: Candidate | Screening | Template) -> datetime | None:
    """Return when a row changed last, as far as its fields tell.

    A screening tells only when it was completed: one that expires or is cancelled shows the time of its start at most.
    """
    return row.completed_at if isinstance(row, Screening) else row.updated_at or row.created_at


def check_resource(resource: str, *, detail: bool, status: str | None) -> None:
    """Check what is to be exported. :raises ConfigurationError: saying what there is."""
    check_choice("resource", resource, MODELS)
    if resource != "candidates" and (detail or status is not None):
        raise ConfigurationError("detail and status are for candidates only: the other lists have no such thing.")
    if status is not None:
        endpoints.list_candidates(status=status)
