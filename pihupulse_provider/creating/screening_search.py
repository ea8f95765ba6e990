"""Finding the screenings of a few candidates without reading the whole list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from pihupulse_provider.api import endpoints
from pihupulse_provider.api.async_client import AsyncClient
from pihupulse_provider.api.concurrency import as_they_come
from pihupulse_provider.api.errors import NotFoundError
from pihupulse_provider.api.models import Page, Screening
from pihupulse_provider.api.server_time import ServerTime
from pihupulse_provider.creating.lookup import advance, every_page_from_both_ends
from pihupulse_provider.exporting.list_reader import ListReader

Dated = tuple[Screening, float | None]
"""A screening, and when it was started or completed (our epoch seconds)."""


async def find_screenings(client: AsyncClient, candidate_ids: Sequence[str] | None) -> AsyncIterator[list[Dated]]:
    """Yield all screenings of these candidates, and perhaps others; None for everybody's.

    A candidate's details tell the ids of its screenings, but not their templates; those are in the list. Where the
    list has fewer pages than there are candidates, it is read whole instead.
    """
    if candidate_ids is not None:
        first = await client.run(endpoints.list_screenings())
        if first.total_pages > len(candidate_ids):
            wanted = await _ids_of(client, candidate_ids)
            found, missing = await _listed(client, wanted)
            if not missing:
                yield found
                return
    sweep = ListReader(client, endpoints.list_screenings)
    async for screenings in sweep.rows():
        yield _dated(screenings, sweep.time)


async def _ids_of(client: AsyncClient, candidate_ids: Sequence[str]) -> set[str]:
    async def shown(candidate_id: str) -> list[str]:
        try:
            candidate = await client.get_candidate(candidate_id)
        except NotFoundError:
            return []
        return [screening.id for screening in candidate.screenings or []]

    return {identifier async for ids in as_they_come(candidate_ids, shown) for identifier in ids}


async def _listed(client: AsyncClient, wanted: set[str]) -> tuple[list[Dated], set[str]]:
    """Return these screenings from the list, and the ids that it does not show."""
    found: dict[str, Dated] = {}
    if not wanted:
        return [], wanted
    time = ServerTime(client.limit.now)

    def take(page: Page[Screening]) -> bool:
        time.see(page.served_at)
        found.update({dated[0].id: dated for dated in _dated(page.data, time) if dated[0].id in wanted})
        return wanted <= found.keys()

    walk = every_page_from_both_ends(take)
    number: int | None = next(walk)
    while number is not None:
        number = advance(walk, await client.run(endpoints.list_screenings(number)))
    return list(found.values()), wanted - found.keys()


def _dated(screenings: Sequence[Screening], time: ServerTime) -> list[Dated]:
    return [(one, time.ours(one.started_at or one.completed_at)) for one in screenings]
