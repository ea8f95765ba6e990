"""Tasks that begin together read each page once, whatever becomes of the one that reads it."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from pihupulse_provider.api import NoAnswerError
from pihupulse_provider.api.models import Page, PageMeta, Screening
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.list_pages import ListPages

NOW = 1_700_000_000.0
META = PageMeta(total_pages=3, total_count=250, per_page=100, current_page=1)


class World:
    """A clock, and requests that are counted."""

    def __init__(self) -> None:
        self.now = NOW
        self.requests = 0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def request(self) -> Page[Screening]:
        self.requests += 1
        row = Screening.model_validate(
            {"id": f"s{self.requests}", "candidate_id": "c1", "status": "completed", "score": 85, "name": "Jane Doe"}
        )
        return Page[Screening](data=[row], meta=META)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def store(tmp_path, world):
    store = Store(f"sqlite:///{tmp_path}/store.db", wall_clock=world.clock)
    yield store
    store.dispose()


@pytest.fixture
def pages(store, world) -> ListPages:
    return ListPages(store, "account", world.sleep)


def ids(page):
    return [one.id for one in page.data]


def test_a_page_that_was_requested_a_moment_ago_is_not_requested_again(pages, world):
    first = pages.read(1, 3.0, world.request)
    world.now += 3.0
    again = pages.read(1, 3.0, world.request)
    assert (world.requests, ids(again), again.meta) == (1, ids(first), META)
    assert (again.data[0].status, again.data[0].score, again.data[0].candidate_id) == ("completed", 85, "c1")
    world.now += 0.1
    assert ids(pages.read(1, 3.0, world.request)) == ["s2"]


def test_pages_and_accounts_are_kept_apart(store, pages, world):
    other = ListPages(store, "another", world.sleep)
    assert [ids(one) for one in (pages.read(1, 3, world.request), pages.read(2, 3, world.request))] == [["s1"], ["s2"]]
    assert ids(other.read(1, 3, world.request)) == ["s3"]


def test_nothing_but_what_a_wait_goes_by_is_stored(store, pages, world):
    pages.read(1, 3.0, world.request)
    with store.read() as connection:
        [body] = connection.exec_driver_sql("SELECT body FROM pihupulse_pages").scalars()
    assert "Jane" not in body


def test_a_page_that_another_task_is_reading_is_waited_for(pages, world):
    def request():
        def put() -> None:
            world.now += 1
            pages._put(1, body=world.request().model_dump_json())

        others = ListPages(pages._store, "account", lambda _seconds: put())
        assert ids(others.read(1, 3.0, pytest.fail)) == ["s1"]
        return world.request()

    assert ids(pages.read(1, 3.0, request)) == ["s2"]


def test_one_that_never_comes_is_requested_after_five_seconds(pages, world):
    """The task that reads it was killed, or waits for the account's limit."""

    def request():
        began_at = world.now
        assert ids(ListPages(pages._store, "account", world.sleep).read(1, 3.0, world.request)) == ["s1"]
        assert world.now - began_at == pytest.approx(5.2, abs=0.3)
        return world.request()

    pages.read(1, 3.0, request)


def test_one_that_fails_is_the_next_ones_to_request(pages, world):
    def fail():
        raise NoAnswerError("No response.")

    with pytest.raises(NoAnswerError):
        pages.read(1, 3.0, fail)
    assert ids(pages.read(1, 3.0, world.request)) == ["s1"]
    assert world.now == NOW


def test_without_the_store_pages_are_requested(world):
    pages = ListPages(Store("sqlite:////proc/nowhere/store.db"), "account")
    assert [ids(pages.read(1, 3.0, world.request)) for _ in range(2)] == [["s1"], ["s2"]]


def test_old_pages_are_deleted(store, pages, world):
    for number in range(1, 5):
        pages.read(number, 3.0, world.request)
    world.now += 61
    pages.read(9, 3.0, world.request)
    with store.read() as connection:
        assert list(connection.exec_driver_sql("SELECT number FROM pihupulse_pages").scalars()) == [9]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_at_once_request_it_once(kind, request, tmp_path, world):
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    stores = [Store(url) for _ in range(8)]
    start, read = threading.Barrier(8), []

    def look(store: Store) -> None:
        start.wait()
        read.append(ids(ListPages(store, f"of {tmp_path.name}"[:32]).read(1, 60.0, world.request)))

    threads = [threading.Thread(target=look, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (world.requests, read) == (1, [["s1"]] * 8)
    for store in stores:
        store.dispose()


def test_two_that_delete_old_pages_at_once_do_not_wait_for_each_other_on_postgresql(empty_postgres_url, world):
    accounts = ("one", "another")
    stores = [Store(empty_postgres_url) for _ in accounts]
    for store, account in zip(stores, accounts, strict=True):
        ListPages(store, account).read(1, 60.0, world.request)
    with stores[0].begin() as connection:
        connection.exec_driver_sql("UPDATE pihupulse_pages SET begun_at = 0")
    both = threading.Barrier(2)

    def meet(_connection, _cursor, statement, *_rest):
        if "DELETE FROM pihupulse_pages" in statement:
            both.wait(timeout=20)

    def read(store: Store, account: str) -> None:
        ListPages(store, account).read(1, 60.0, world.request)

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", meet)
    try:
        threads = [threading.Thread(target=read, args=one) for one in zip(stores, accounts, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", meet)
    assert world.requests == 4
    for store, account in zip(stores, accounts, strict=True):
        ListPages(store, account).read(1, 60.0, pytest.fail)
        store.dispose()
