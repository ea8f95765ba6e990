"""What an export writes of a list that changes, and of what changed since the last one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pihupulse_provider.exporting.export import Export
from tests.creating.world import World


class Rows(list):
    """A writer that keeps the rows."""

    write = list.extend


async def export(world, resource, **options):
    """Return what is written, by id, and the watermark."""
    rows = Rows()
    async with world.connect() as client:
        exported = Export(resource, client, **options)
        await exported.run(rows)
    return {row.id: row for row in rows}, exported.watermark


@pytest.mark.parametrize("order", ["oldest-first", "newest-first"])
async def test_active_candidates_are_all_there_though_others_are_archived_and_made_active_again(order):
    world = World("sqlite://", order=order, candidates=251)
    account = world.sandbox.account
    by_place = list(account.candidates.values())[:: 1 if order == "oldest-first" else -1]
    account.set_status(by_place[220], "archived")
    changes = []

    def swap_after_the_first_page(_):
        changes.append(None)
        if len(changes) == 2:
            account.set_status(by_place[5], "archived")
            account.set_status(by_place[220], "active")

    world.change = swap_after_the_first_page
    found, _ = await export(world, "candidates", status="active")
    there_throughout = {one.id for place, one in enumerate(by_place) if place not in (5, 220)}
    assert there_throughout - found.keys() == set()


async def test_a_screening_that_expires_after_the_watermark_is_written_though_it_started_before():
    world = World("sqlite://", candidates=1, start_seconds=1, screening_seconds=1e6)
    [screening] = world.sandbox.insert_screenings(list(world.sandbox.account.candidates))
    world.sandbox.advance(60)
    first, watermark = await export(world, "screenings")
    assert first[screening].status == "in_progress"
    world.sandbox.advance(3600)
    world.sandbox.put(screening, "expired")
    second, _ = await export(world, "screenings", since=watermark + timedelta(minutes=1))
    assert second[screening].status == "expired"
