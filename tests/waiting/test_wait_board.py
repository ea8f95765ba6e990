"""What waits in an event loop is in the store: written when it is new, when it changes, and when it ends."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import sqlalchemy as sa

from pihupulse_provider.api import clock
from pihupulse_provider.store.activity import Activity, ActivityLog, TaskRef, activity_table
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.overview import Wanted, read_overview
from pihupulse_provider.waiting.wait_board import WaitBoard


class World:
    def __init__(self, folder: Path) -> None:
        self.now = 1_000_000.0
        self.store = Store(f"sqlite:///{folder / 'store.db'}", wall_clock=lambda: self.now + 500)
        self.log = ActivityLog(self.store, lambda: self.now)
        self.board = WaitBoard(self.log, lambda: self.now)
        self.next_at = self.now + 60

    def wait(self, task: TaskRef) -> Activity:
        return Activity(task, "wait", "pihupulse_default", "screenings", self.now - 5, next_at=self.next_at)

    def rows(self) -> list[sa.engine.Row]:
        with self.store.read() as connection:
            return list(connection.execute(sa.select(activity_table)))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def task(try_number: int = 1) -> TaskRef:
    return TaskRef("hiring", "manual__1", "wait", -1, try_number)


async def test_a_wait_is_there_while_it_lasts_by_the_stores_clock(world):
    with world.board.showing(task(), world.wait):
        await world.board.write()
        (row,) = world.rows()
        assert (row.dag_id, row.task_id, row.next_at) == ("hiring", "wait", world.next_at + 500)
    await world.board.write()
    assert world.rows() == []


async def test_it_is_written_again_only_when_it_changes_or_would_expire(world):
    unchanged = world.wait(task())
    with world.board.showing(task(), lambda _task: unchanged):
        await world.board.write()
        (before,) = world.rows()
        world.now += 60
        await world.board.write()
        assert world.rows() == [before]
        world.now = before.expires_at - 500 - 1
        await world.board.write()
        assert world.rows()[0].updated_at > before.updated_at


async def test_the_end_of_an_earlier_try_leaves_a_later_one(world):
    world.log.put([world.wait(task(2))])
    with world.board.showing(task(1), lambda ref: world.wait(task(2))):
        pass
    await world.board.write()
    assert [row.try_number for row in world.rows()] == [2]


async def test_what_expired_is_deleted_by_whoever_writes_next(world):
    world.log.put([world.wait(task())])
    world.now += 3600
    world.log.put([world.wait(TaskRef("other", "r", "t", 3, 1))])
    assert [row.dag_id for row in world.rows()] == ["other"]


async def test_a_store_that_is_away_ends_no_wait_and_is_left_alone(world, caplog):
    caplog.set_level(logging.INFO)
    world.log = ActivityLog(Store("postgresql://127.0.0.1:9/none?connect_timeout=1"), lambda: world.now)
    for _ in range(3):
        world.log.put([world.wait(task())])
    assert caplog.text.count("is not shown") == 1


def test_waits_that_nobody_can_name_are_not_shown(world):
    with world.board.showing(None, world.wait):
        assert world.rows() == []


def test_postgresql_keeps_it_as_well(empty_postgres_url):
    store = Store(empty_postgres_url)
    log = ActivityLog(store)
    tasks = [TaskRef("hiring", "manual__1", "wait", index, 1) for index in range(3)]
    for done in (1, 2):
        log.put([Activity(one, "wait", "c", "screenings", clock.now() - 5, "s1", total=9, done=done) for one in tasks])
    log.end(tasks[:1])
    found = read_overview(store, lambda ids: ids, lambda seen: {"waits": seen.tasks(("wait",), Wanted("s1"), 50)})
    assert [(row.map_index, row.done) for row in sorted(found["waits"].rows, key=lambda row: row.map_index)] == [
        (1, 2),
        (2, 2),
    ]
    everything = read_overview(
        store,
        lambda _ids: (),
        lambda seen: {"all": (seen.accounts(), seen.consumers(), seen.tasks(("wait",), Wanted(), 9))},
    )
    assert everything["all"] == ([], [], ([], 0))
    read_overview(store, lambda ids: ids, lambda seen: {"found": seen.deliveries(Wanted("nothing"), 50)})


@pytest.mark.parametrize("odd", ["s\0", "s" * 300], ids=["NUL", "long"])
def test_an_id_that_postgresql_refuses_hides_no_other_wait(empty_postgres_url, odd):
    store = Store(empty_postgres_url)
    subjects = {odd: task()._replace(map_index=0), "s1": task()}
    ActivityLog(store).put(
        [Activity(one, "wait", "c", "screenings", 0.0, subject) for subject, one in subjects.items()]
    )
    with store.read() as connection:
        assert {row.subject for row in connection.execute(sa.select(activity_table))} == {None, "s1"}
    store.dispose()
