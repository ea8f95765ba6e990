"""The row of an account's limit: for how long each holds it, and what becomes of it when something goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from pihupulse_provider.api import Plan
from pihupulse_provider.api.rate_limit import LimitState
from pihupulse_provider.store import postgresql
from pihupulse_provider.store.engine import Store, StoreError
from pihupulse_provider.store.limit_row import limits_table, locked_limit, read_states
from pihupulse_provider.store.limits import StoreRateLimit
from tests.store.pooler import pooled

PLAN = Plan(600, 10)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    on_postgresql = request.param == "postgresql"
    path = request.getfixturevalue("empty_postgres_url" if on_postgresql else "tmp_path")
    store = Store(path if on_postgresql else f"sqlite:///{path}/store.db")
    yield store
    store.dispose()


@pytest.mark.parametrize("options", ["", "?prepare_threshold=0"])
def test_a_change_takes_two_messages_through_a_pooler_too(empty_postgres_url: str, options: str) -> None:
    """The row is locked between the two: for one round trip. A look at whether the connection is alive comes before."""
    requests: list[bytes] = []
    with pooled(f"{empty_postgres_url}{options}", requests) as url:
        store = Store(url)
        found = []
        for number in range(4):
            with locked_limit(store, "account", PLAN) as limit:
                found.append(limit.state.voided)
                limit.state = replace(limit.state, voided=number + 1)
            if not number:
                requests.clear()
        store.dispose()

    assert found == [0, 1, 2, 3]
    sent = [one for one in requests if b"pihupulse" in one]
    assert [b"BEGIN" in one and b"FOR UPDATE" in one for one in sent] == [True, False] * 3
    assert [b"UPDATE" in one and b"COMMIT" in one for one in sent] == [False, True] * 3
    assert requests.index(sent[1]) == requests.index(sent[0]) + 1


def test_time_is_that_after_the_row_was_waited_for(empty_postgres_url: str) -> None:
    """The state may be from the wait: a time from before it would seem to be set back."""
    holder, waiter = Store(empty_postgres_url), Store(empty_postgres_url)
    with locked_limit(holder, "account", PLAN):
        pass
    with ThreadPoolExecutor(1) as pool:
        with holder.begin() as connection:
            connection.execute(sa.select(limits_table).with_for_update())
            waiting = pool.submit(_time_when_locked, waiter)
            while not connection.execute(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar():
                time.sleep(0.01)
            released_at = holder.now(connection)
        assert waiting.result() >= released_at, "nothing was written, and so nothing read again"
    for store in (holder, waiter):
        store.dispose()


def _time_when_locked(store: Store) -> float:
    with locked_limit(store, "account", PLAN) as limit:
        return limit.now


def test_who_is_stopped_with_the_row_stops_nobody_else(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine may even be gone, without a word to the server."""
    monkeypatch.setattr(postgresql, "_LONGEST_IDLE", "100ms")
    stopped, other = Store(empty_postgres_url), Store(empty_postgres_url)
    with pytest.raises(StoreError):
        _go_on_after(lambda: StoreRateLimit(other, "account", PLAN).reserve(), stopped)

    with locked_limit(stopped, "account", PLAN) as again:
        assert (again.state.voided, again.state.window_used) == (0, 1)
    for store in (stopped, other):
        store.dispose()


def test_a_row_that_somebody_keeps_is_a_store_error(empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that was left open by hand: nothing ends it, and requests go on without the store."""
    monkeypatch.setattr(postgresql, "_LONGEST_LOCKED", "100ms")
    kept, other = Store(empty_postgres_url), Store(empty_postgres_url)
    with locked_limit(kept, "account", PLAN):
        pass
    with kept.begin() as by_hand:
        by_hand.execute(limits_table.update().values(state="{}"))
        with pytest.raises(StoreError, match="lock timeout"):
            _time_when_locked(other)
    for store in (kept, other):
        store.dispose()


def _go_on_after(others_work: Callable[[], object], store: Store) -> None:
    with locked_limit(store, "account", PLAN) as limit:
        others_work()
        limit.state = replace(limit.state, voided=9)


def test_what_is_left_in_it_is_stored(store: Store) -> None:
    with locked_limit(store, "account", PLAN) as limit:
        assert limit.state == LimitState(cap=PLAN)
        limit.state = replace(limit.state, voided=7, reserved_at=limit.now)
    with locked_limit(store, "account", None) as again:
        assert again.state == replace(limit.state, cap=None)


def test_an_error_frees_the_row_and_changes_nothing(store: Store) -> None:
    """Be it the timeout of a task, which Airflow raises anywhere."""
    with locked_limit(store, "account", PLAN) as limit:
        limit.state = replace(limit.state, voided=1)
    with pytest.raises(TimeoutError):
        _run_out_of_time(store)

    other = Store(store._url.render_as_string(hide_password=False))
    for one in (other, store):
        with locked_limit(one, "account", PLAN) as limit:
            limit.state = replace(limit.state, voided=limit.state.voided + 10)
    with store.read() as connection:
        assert read_states(connection, 1)[0][1].voided == 21
    other.dispose()


def _run_out_of_time(store: Store) -> None:
    with locked_limit(store, "account", PLAN) as limit:
        limit.state = replace(limit.state, voided=2)
        raise TimeoutError


def test_row_is_made_once_by_those_who_start_together(store: Store) -> None:
    stores = [store, *(Store(store._url.render_as_string(hide_password=False)) for _ in range(3))]
    with ThreadPoolExecutor(4) as pool:
        used = list(pool.map(lambda one: StoreRateLimit(one, "account", PLAN).reserve().used, stores))

    assert sorted(used) == [1, 2, 3, 4]
    for one in stores:
        one.dispose()
