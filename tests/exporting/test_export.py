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
    return {getattr(row, "id", None) or row.screening_id: row for row in rows}, exported.watermark


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


class TestReportsThatAreNotThereYet:
    """An incremental export waits for them, but not for ever."""

    @pytest.fixture
    def world(self):
        return World("sqlite://", candidates=3)

    @pytest.fixture
    def late(self, world):
        """A completed screening whose report does not come; two others have theirs."""
        screenings = world.sandbox.insert_screenings(list(world.sandbox.account.candidates))
        for screening in screenings:
            world.sandbox.complete(screening)
        world.sandbox.fail("error", status=404, path=f"/screenings/{screenings[0]}/report")
        return screenings[0]

    async def test_one_that_is_late_is_in_the_next_run(self, world, late):
        world.sandbox.advance(86_400 - 600)
        first, watermark = await export(world, "reports")
        assert late not in first
        world.sandbox.heal()
        world.sandbox.advance(3600)
        second, _ = await export(world, "reports", since=watermark)
        assert late in second

    async def test_one_that_does_not_come_within_a_day_is_named_and_no_longer_waited_for(self, world, late, caplog):
        """Else each run would fetch all reports since then."""
        world.sandbox.advance(86_400 + 600)
        _, watermark = await export(world, "reports")
        assert "1 completed screening has no report more than a day later, and the watermark no longer" in caplog.text
        assert late in caplog.text
        caplog.clear()
        world.sandbox.advance(3600)
        second, further = await export(world, "reports", since=watermark)
        assert (second, further > watermark) == ({}, True)
        assert "no report" not in caplog.text

    async def test_those_that_are_late_hold_the_watermark_back_beside_one_that_does_not_come(self, world, late):
        world.sandbox.advance(86_400 + 600)
        [recent] = world.sandbox.insert_screenings(list(world.sandbox.account.candidates)[:1])
        world.sandbox.complete(recent)
        world.sandbox.fail("error", status=404, path=f"/screenings/{recent}/report")
        completed_at = world.moment()
        world.sandbox.advance(7200)
        _, watermark = await export(world, "reports")
        assert abs(watermark - completed_at) <= timedelta(seconds=2)
