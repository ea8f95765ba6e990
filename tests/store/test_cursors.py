"""A consumer's cursor: at least once, with the commit after the work, and the same again for the same reader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.store.cursors import Cursor, CursorMovedError, Stretch, forget_reads, list_cursors
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.inbox import head_table

NOW = 1000.0
NUMBERS = count()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    url = url if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    store = Store(url, wall_clock=lambda: NOW)
    with store.begin() as connection:
        for table in ("pihupulse_cursors", "pihupulse_reads"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    yield store
    store.dispose()


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('replayed') / 'store.db'}")
    yield store
    store.dispose()


@pytest.fixture
def cursor(store: Store) -> Cursor:
    return Cursor(store, "pihupulse_default", "land")


def test_a_new_consumer_begins_where_it_is_told_and_stays_there(cursor: Cursor):
    assert cursor.position(7) == 7
    assert cursor.position(9) == 7


@pytest.mark.parametrize("name", ["", " ", None, 7, "x" * 256, "a\0b", "\ud800"])
def test_a_name_that_no_consumer_can_have_is_refused_in_a_sentence(store: Store, name: Any):
    with pytest.raises(ConfigurationError, match=r"consumer is .*: it must be a name of 1 to 255 printable characters"):
        Cursor(store, "pihupulse_default", name).position()


def test_reading_where_a_consumer_is_waits_for_no_writer(store: Store, cursor: Cursor):
    cursor.position(7)
    other = Store(store._url.render_as_string(hide_password=False))
    with other.begin() as writing:
        writing.execute(sa.update(head_table).values(position=head_table.c.position))
        assert cursor.position() == 7
        assert cursor.stretch("run 1") == Stretch(7)
    other.dispose()


def test_what_is_not_committed_is_read_again(cursor: Cursor):
    assert cursor.stretch("run 1") == Stretch(0)
    assert cursor.stretch("run 2") == Stretch(0)
    cursor.commit(0, 5, "run 2")
    assert cursor.stretch("run 3") == Stretch(5)


def test_a_reader_that_comes_again_gets_the_same_stretch(cursor: Cursor):
    cursor.commit(cursor.position(), 5, "run 1")
    cursor.commit(5, 8, "run 2")
    assert cursor.stretch("run 1") == Stretch(0, 5)
    assert cursor.stretch("run 2") == Stretch(5, 8)


@pytest.mark.parametrize("end", [0, 5], ids=["nothing new", "something new"])
def test_two_tries_of_a_reader_may_both_commit_what_both_read(cursor: Cursor, end: int):
    start = cursor.stretch("run 1").start
    cursor.commit(start, end, "run 1")
    cursor.commit(start, end, "run 1")
    assert cursor.stretch("run 1") == Stretch(0, end)
    assert cursor.position() == end


def test_a_try_of_a_reader_does_not_add_to_what_another_was_given(cursor: Cursor):
    """One try found nothing, and is done; another of the same run is still at work, and something came."""
    start = cursor.stretch("run 1").start
    cursor.commit(start, start, "run 1")
    with pytest.raises(CursorMovedError):
        cursor.commit(start, 5, "run 1")
    assert cursor.stretch("run 1") == Stretch(0, 0)
    assert cursor.stretch("run 2") == Stretch(0)


def test_two_readers_of_one_stretch_do_not_both_get_it(cursor: Cursor):
    stretch = cursor.stretch("run 1")
    assert cursor.stretch("run 2") == stretch
    cursor.commit(stretch.start, 5, "run 1")
    with pytest.raises(CursorMovedError, match="max_active_runs=1"):
        cursor.commit(stretch.start, 6, "run 2")
    assert cursor.stretch("run 2") == Stretch(5)


def test_a_cursor_set_back_makes_readers_read_again(cursor: Cursor):
    cursor.commit(cursor.position(), 5, "run 1")
    cursor.commit(5, 8, "run 2")
    cursor.seek(5)
    assert cursor.stretch("run 1") == Stretch(0, 5)
    assert cursor.stretch("run 2") == Stretch(5)


def test_what_is_committed_while_the_cursor_is_set_back_is_forgotten(postgres_url: str):
    """On PostgreSQL the one waits for the other's transaction in the middle of its own."""

    class Slow(Store):
        @contextmanager
        def begin(self, *, durable: bool = True) -> Iterator[sa.Connection]:
            with super().begin(durable=durable) as connection:
                yield connection
                setting_back.start()
                await_lock(store)

    store, slow = Store(postgres_url), Slow(postgres_url)
    Cursor(store, "pihupulse_default", "overlap").seek(5)
    setting_back = Thread(target=Cursor(store, "pihupulse_default", "overlap").seek, args=(0,))
    Cursor(slow, "pihupulse_default", "overlap").commit(5, 9, "run 1")
    setting_back.join()
    assert Cursor(store, "pihupulse_default", "overlap").stretch("run 1") == Stretch(0)
    for one in (store, slow):
        one.dispose()


def await_lock(store: Store) -> None:
    """Wait until somebody on the server waits for a lock."""
    other = sa.create_engine(store._url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with other.connect() as connection:
        while not connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar_one():
            pass


def test_consumers_do_not_share_cursors(store: Store, cursor: Cursor):
    other = Cursor(store, "pihupulse_default", "alerts")
    cursor.commit(cursor.position(), 5)
    assert (cursor.position(), other.position()) == (5, 0)
    assert [(one.consumer, one.position) for one in list_cursors(store)] == [("alerts", 0), ("land", 5)]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["read", "commit", "replay"]), st.sampled_from(["run 1", "run 2", "run 3"]), st.integers(0, 6)
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(STEPS)
def test_each_position_is_one_readers_whatever_the_order_of_reads_commits_and_replays(replayed: Store, steps):
    """Until somebody sets the cursor back: then it is given out once more."""
    cursor = Cursor(replayed, "pihupulse_default", f"consumer {next(NUMBERS)}")
    position, kept, begun = 0, {}, {}
    for step, reader, by in steps:
        if step == "read":
            begun[reader] = cursor.stretch(reader)
            assert begun[reader] == kept.get(reader, Stretch(position))
        elif step == "replay":
            cursor.seek(by)
            position, kept = by, {one: stretch for one, stretch in kept.items() if stretch.end <= by}
        elif reader in begun and reader not in kept:
            start = begun[reader].start
            if start != position:
                with pytest.raises(CursorMovedError):
                    cursor.commit(start, start + by, reader)
                continue
            cursor.commit(start, start + by, reader)
            position, kept[reader] = start + by, Stretch(start, start + by)
    assert cursor.position() == position


def test_old_stretches_are_forgotten(store: Store, cursor: Cursor):
    with store.read() as connection:
        before = store.now(connection)
    cursor.commit(cursor.position(), 5, "run 1")
    assert forget_reads(store, before) == 0
    assert forget_reads(store, before + 60) == 1
    assert cursor.stretch("run 1") == Stretch(5)


def test_moments_are_those_of_the_clock_of_the_store(store: Store, cursor: Cursor):
    """A worker whose clock is wrong would have its stretches forgotten, and a retry would be given other events."""
    with store.read() as connection:
        before = store.now(connection)
    cursor.commit(cursor.position(), 5, "run 1")
    cursor.seek(5)
    assert forget_reads(store, before) == 0
    assert all(before <= one.moved_at < before + 60 for one in list_cursors(store))
