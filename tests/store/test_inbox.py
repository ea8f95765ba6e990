"""The inbox keeps each event once, in the order of its commits, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa

from pihupulse_provider.api.events import WebhookEvent
from pihupulse_provider.store.engine import Store, StoreError
from pihupulse_provider.store.inbox import Delivery, EventFilter, Inbox
from tests.api.drivers import Clock
from tests.full_disk import files_of_at_most
from tests.servers import empty_database
from tests.store.pooler import pooled

EVERYTHING = EventFilter()
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root can mount a disk.")
WRITER = """
import sys
import time
from pihupulse_provider.api.events import WebhookEvent
from pihupulse_provider.store.engine import Store, StoreError
from pihupulse_provider.store.inbox import Delivery, Inbox

url, name, count, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
inbox = Inbox(Store(url))
for start in range(0, count, size):
    bodies = [b'{"event": "x", "data": {"screening_id": "%s-%d"}}' % (name.encode(), start + n) for n in range(size)]
    inbox.append([Delivery("c", WebhookEvent.parse(body), body) for body in bodies])
    time.sleep(0.0005)  # SQLite lets who asks again at once go first
"""


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 32 MB that PostgreSQL may write to."""
    with TemporaryDirectory(prefix="pihupulse-disk-") as disk:
        mount = ["mount", "-t", "tmpfs", "-o", "size=32m,mode=777", "tmpfs", disk]
        if subprocess.run(mount, check=False).returncode != 0:
            pytest.skip("Nothing can be mounted here.")
        try:
            yield Path(disk)
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    store = Store(url, wall_clock=clock)
    with store.begin() as connection:
        for table in ("pihupulse_events", "pihupulse_inbox"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    yield store
    store.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(store: Store) -> Inbox:
    return Inbox(store)


def delivery(number: int, event: str = "screening.completed", connection: str = "c", **data: str) -> Delivery:
    said = {"screening_id": f"s{number}", **data}
    body = json.dumps({"event": event, "data": said}).encode()
    return Delivery(connection, WebhookEvent.parse(body), body)


@pytest.mark.parametrize("subject", ["screening", "candidate", "template"])
def test_events_of_a_subject_are_looked_up_by_an_index(tmp_path: Path, subject: str):
    """So the look-up costs the same whether there are ten thousand events or a million."""
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    plans: list[str] = []

    def explain(_connection, cursor, statement, parameters, *_rest):
        if "FROM pihupulse_events" in statement and not statement.startswith("EXPLAIN"):
            plans.append(str(cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()))

    sa.event.listen(store._engine, "before_cursor_execute", explain)
    wanted = EventFilter(connection="c", **{f"{subject}_id": "one"})
    Inbox(store).read(wanted)
    Inbox(store).newest(wanted, 10)
    assert len(plans) == 2
    assert all(f"({subject}_id=?" in plan and "TEMP B-TREE" not in plan for plan in plans), plans
    store.dispose()


def test_what_came_lately_is_found_by_an_index(tmp_path: Path):
    """So a sensor's look costs next to nothing in an inbox of a million events; it took SQLite a second."""
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    steps: list[str] = []

    def explain(_connection, cursor, statement, parameters, *_rest):
        if "FROM pihupulse_events" in statement and not statement.startswith("EXPLAIN"):
            steps.extend(row[-1] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    inbox = Inbox(store)
    inbox.append([delivery(1)])
    sa.event.listen(store._engine, "before_cursor_execute", explain)
    assert inbox.position_at(time.time() + 1) == 1
    assert inbox.read(EventFilter(connection="c", events=("x",), since=time.time() + 1)).end == 1
    by_time = "SEARCH pihupulse_events USING COVERING INDEX ix_pihupulse_events_received_at (received_at>?)"
    by_position = "SEARCH pihupulse_events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
    assert steps == [by_time, by_time, by_position]
    store.dispose()


def test_who_delivers_waits_for_no_look_through_the_inbox_while_it_is_pruned(tmp_path: Path, clock: Clock):
    """With a million events each look took a second, also when nothing was old, and deliveries waited for it."""
    store = Store(f"sqlite:///{tmp_path / 'store.db'}", wall_clock=clock)
    inbox = Inbox(store)
    inbox.append([delivery(number) for number in range(2500)])
    plans: list[str] = []
    deleted: list[int] = []

    def explain(_connection, cursor, statement, parameters, *_rest):
        if statement.startswith("DELETE FROM pihupulse_events"):
            plans.append(str(cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()))

    def count(_connection, cursor, statement, *_rest):
        if statement.startswith("DELETE FROM pihupulse_events"):
            deleted.append(cursor.rowcount)

    sa.event.listen(store._engine, "before_cursor_execute", explain)
    sa.event.listen(store._engine, "after_cursor_execute", count)
    inbox.prune(clock.now + 1)
    assert all("received_at<?" in plan and "SCAN" not in plan and "TEMP B-TREE" not in plan for plan in plans), plans
    assert sum(deleted) == 2500
    assert max(deleted) <= 1000
    store.dispose()


def test_an_event_is_kept_once_for_each_connection(inbox: Inbox):
    copies = [delivery(1), delivery(1), delivery(1, connection="d")]
    assert inbox.append(copies) == [True, False, True]
    assert inbox.append(copies) == [False, False, False]
    assert [entry.connection for entry in inbox.read(EVERYTHING).events] == ["c", "d"]


def test_copies_take_no_event_away_and_later_events_stand_further(inbox: Inbox):
    assert inbox.head() == 0
    assert inbox.append([delivery(1), delivery(2), delivery(1), delivery(2)]) == [True, True, False, False]
    assert inbox.append([delivery(2), delivery(3), delivery(3)]) == [False, True, False]
    entries = inbox.read(EVERYTHING).events
    assert [entry.event.screening_id for entry in entries] == ["s1", "s2", "s3"]
    positions = [entry.position for entry in entries]
    assert positions == sorted(set(positions))
    assert positions[-1] <= inbox.head()


def test_a_reader_moves_past_what_it_does_not_want(inbox: Inbox):
    inbox.append([delivery(1), delivery(2, "report.generated"), delivery(3), delivery(4)])
    reports = EventFilter(events=("report.generated",))
    batch = inbox.read(reports)
    assert ([entry.position for entry in batch.events], batch.end) == ([2], 4)
    assert inbox.read(reports, after=batch.end).events == []


def test_a_reader_with_a_limit_goes_on_where_it_stopped(inbox: Inbox):
    inbox.append([delivery(number) for number in range(1, 6)])
    batch = inbox.read(EVERYTHING, limit=2)
    assert ([entry.position for entry in batch.events], batch.end) == ([1, 2], 2)
    batch = inbox.read_all(EVERYTHING, after=batch.end, until=4)
    assert ([entry.position for entry in batch.events], batch.end) == ([3, 4], 4)


@pytest.mark.parametrize("after", [0, 5])
@pytest.mark.parametrize("until", [None, 7])
def test_whatever_is_read_first_the_rest_comes_after_it(inbox: Inbox, after: int, until: int | None):
    inbox.append([delivery(number, "x" if number % 3 else "report.generated") for number in range(1, 13)])
    last = until or 12
    for wanted, positions in (EVERYTHING, range(1, 13)), (EventFilter(events=("report.generated",)), (3, 6, 9, 12)):
        all_wanted = [position for position in positions if after < position <= last]
        for limit in (1, 2, 4, 7, 20):
            first = inbox.read_all(wanted, after=after, until=until, limit=limit)
            rest = inbox.read_all(wanted, after=first.end, until=until)
            assert [entry.position for entry in first.events] == all_wanted[:limit]
            assert [entry.position for entry in rest.events] == all_wanted[limit:]
            assert rest.end == last


def test_all_is_read_and_pruned_however_much_it_is(tmp_path: Path, clock: Clock):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}", wall_clock=clock)
    inbox = Inbox(store)
    inbox.append([delivery(number) for number in range(5001)])
    assert [entry.position for entry in inbox.read_all(EVERYTHING).events] == list(range(1, 5002))
    assert inbox.read_all(EVERYTHING, limit=1500).end == 1500
    assert inbox.prune(clock.now + 1) == 5001
    assert inbox.head() == 5001
    store.dispose()


@pytest.mark.parametrize(
    ("wanted", "positions"),
    [
        (EventFilter(connection="d"), [4]),
        (EventFilter(events=("report.generated", "candidate.created")), [2]),
        (EventFilter(screening_id="s3"), [3]),
        (EventFilter(candidate_id="c9"), [1, 3]),
        (EventFilter(template_id="t1", candidate_id="c9"), [3]),
        (EventFilter(since=1_700_000_000.0), [1, 2, 3, 4]),
        (EventFilter(since=4_000_000_000.0), []),
    ],
)
def test_the_database_and_memory_agree_on_what_is_wanted(inbox: Inbox, wanted: EventFilter, positions: list[int]):
    inbox.append(
        [
            delivery(1, candidate_id="c9"),
            delivery(2, "report.generated"),
            delivery(3, candidate_id="c9", template_id="t1"),
            delivery(4, connection="d"),
        ]
    )
    assert [entry.position for entry in inbox.read(wanted).events] == positions
    assert [entry.position for entry in inbox.read(EVERYTHING).events if wanted.matches(entry)] == positions


def test_pruned_positions_are_not_given_out_again(inbox: Inbox, clock: Clock):
    inbox.append([delivery(1), delivery(2)])
    clock.now += 100
    inbox.append([delivery(3)])
    *_, last = inbox.read(EVERYTHING).events
    assert inbox.prune(last.received_at) == 2
    assert inbox.prune(last.received_at + 1) == 1
    inbox.append([delivery(4)])
    assert [entry.position for entry in inbox.read(EVERYTHING).events] == [4]


def test_a_time_is_a_position(inbox: Inbox, clock: Clock):
    for number in (1, 2, 3):
        inbox.append([delivery(number)])
        clock.now += 10
    _, second, last = inbox.read(EVERYTHING).events
    assert inbox.position_at(second.received_at) == 1
    assert inbox.position_at(0) == 0
    assert inbox.position_at(last.received_at + 1) == 3


def test_the_last_seconds_begin_at_a_position(tmp_path: Path, clock: Clock):
    """By the store's clock, which a test sets on SQLite alone."""
    store = Store(f"sqlite:///{tmp_path / 'store.db'}", wall_clock=clock)
    inbox = Inbox(store)
    for number in (1, 2, 3):
        inbox.append([delivery(number)])
        clock.now += 10
    assert [inbox.position_before(seconds) for seconds in (5, 15, 25, 100)] == [3, 2, 1, 0]
    store.dispose()


def test_the_newest_are_shown_in_their_order(inbox: Inbox):
    inbox.append([delivery(number) for number in range(1, 6)])
    assert [entry.position for entry in inbox.newest(EVERYTHING, 2)] == [4, 5]


def test_a_body_comes_back_byte_for_byte(inbox: Inbox):
    body = '{"event" :  "x",\r\n"data": {"name": "Zoë 张伟 🙂 \\u0000"}}'.encode()
    inbox.append([Delivery("c", WebhookEvent.parse(body), body)])
    entry = inbox.at(1)
    assert entry is not None
    assert entry.body == body
    assert inbox.at(2) is None


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 30, "-" + "1" * 30])
def test_what_an_event_shows_goes_through_airflow_to_any_database(inbox: Inbox, number: str):
    """MessagePack takes whole numbers of 64 bits, JSON none that is infinite, and JSONB no NUL."""
    body = '{"event": "x", "data": {"score": %s, "more": [{"n\\u0000": [%s, "a\\u0000", 1.5, true, null]}]}}'
    sent = (body % (number, number)).encode()
    inbox.append([Delivery("c", WebhookEvent.parse(sent), sent)])
    (found,) = inbox.read(EVERYTHING).events
    assert found.public()["score"] is None
    shown = None if "e" in number else number
    assert found.document()["data"] == {"score": shown, "more": [{"n\ufffd": [shown, "a\ufffd", 1.5, True, None]}]}


def test_what_an_event_shows_holds_nothing_personal(inbox: Inbox):
    inbox.append([delivery(1, "candidate.created", name="Jane Doe", email="jane@example.com", id="c7")])
    (entry,) = inbox.read(EVERYTHING).events
    assert entry.public()["candidate_id"] == "c7"
    for shown in (repr(entry), repr(entry.event), json.dumps(entry.public()), repr(delivery(1, name="Jane Doe"))):
        assert "jane" not in shown.lower()
    assert entry.document()["data"]["email"] == "jane@example.com"


def test_two_writing_processes_never_make_a_reader_miss_or_repeat_an_event(url: str, inbox: Inbox):
    each, size = 1500, 3
    command = [sys.executable, "-c", WRITER, url]
    writers = [subprocess.Popen([*command, name, str(each), str(size)]) for name in ("a", "b")]
    seen: list[str] = []
    after, deadline = 0, time.monotonic() + 60
    while len(seen) < 2 * each and time.monotonic() < deadline:
        batch = inbox.read(EVERYTHING, after=after, limit=50)
        assert [entry.position for entry in batch.events] == list(range(after + 1, after + 1 + len(batch.events)))
        seen += [str(entry.event.screening_id) for entry in batch.events]
        after = batch.end
    assert [writer.wait(timeout=30) for writer in writers] == [0, 0]
    assert sorted(seen) == sorted(f"{name}-{number}" for name in "ab" for number in range(each))
    turns = sum(one[0] != other[0] for one, other in pairwise(seen))
    assert turns > 1, "the writers did not write at the same time"


def test_a_full_disk_stores_none_of_them_and_the_next_ones_once_there_is_room(tmp_path: Path):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    inbox = Inbox(store)
    inbox.append([delivery(0)])
    with files_of_at_most(160 * 1024):
        with pytest.raises(StoreError):
            inbox.append([delivery(number, padding="x" * 1000) for number in range(1, 200)])
        with pytest.raises(StoreError):
            inbox.check()
        assert len(inbox.read(EVERYTHING).events) == 1
    inbox.check()
    assert inbox.append([delivery(1)]) == [True]
    store.dispose()


@as_root
def test_a_postgresql_whose_disk_is_full_is_noticed_before_an_event_comes(small_disk: Path, postgres_url: str):
    with empty_database(postgres_url, small_disk) as url:
        inbox = Inbox(Store(url))
        inbox.check()
        with (small_disk / "filling").open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        with pytest.raises(StoreError, match="No space left on device"):
            inbox.check()
        with pytest.raises(StoreError, match="No space left on device"):
            inbox.append([delivery(number, padding="x" * 1000) for number in range(200)])
        (small_disk / "filling").unlink()
        inbox.check()
        assert inbox.append([delivery(1)]) == [True]
        inbox.store.dispose()


@pytest.mark.parametrize("table", ["pihupulse_events", "pihupulse_inbox"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_missing_table_is_noticed_before_an_event_comes(request: pytest.FixtureRequest, tmp_path, kind, table):
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else request.getfixturevalue("empty_postgres_url")
    inbox = Inbox(Store(url))
    inbox.check()
    with inbox.store.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {table}")
    with pytest.raises(StoreError):
        inbox.check()
    inbox.store.dispose()


def test_a_connection_that_the_database_closed_costs_no_event(postgres_url: str):
    inbox = Inbox(Store(postgres_url))
    inbox.append([delivery(1, connection="broken")])
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with Store(postgres_url).begin() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) {others}")
    inbox.append([delivery(2, connection="broken")])
    kept = inbox.read_all(EventFilter(connection="broken")).events
    assert [entry.event.screening_id for entry in kept] == ["s1", "s2"]


def test_a_table_that_is_gone_is_an_error_of_the_store(inbox: Inbox, store: Store):
    inbox.append([delivery(1)])
    with store.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE pihupulse_events RENAME TO gone")
    with pytest.raises(StoreError, match="pihupulse_events"):
        inbox.append([delivery(2)])
    with store.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO pihupulse_events")
    assert inbox.append([delivery(2)]) == [True]


def test_what_comes_after_the_file_was_moved_is_in_the_file_at_its_place(tmp_path: Path):
    path = tmp_path / "store.db"
    store = Store(f"sqlite:///{path}")
    inbox = Inbox(store)
    inbox.append([delivery(1)])
    for one in tmp_path.glob("store.db*"):
        one.rename(one.with_name(f"moved-{one.name}"))
    assert inbox.append([delivery(1), delivery(2)]) == [True, True]
    store.dispose()
    other = Store(f"sqlite:///{path}")
    assert [entry.event.screening_id for entry in Inbox(other).read(EVERYTHING).events] == ["s1", "s2"]
    other.dispose()


@pytest.mark.parametrize("behind", [600.0, -600.0])
def test_the_time_of_an_event_is_the_stores_whatever_the_clock_of_its_receiver_says(postgres_url: str, behind: float):
    store = Store(postgres_url, wall_clock=lambda: time.time() - behind)
    before = Inbox(store).head()
    Inbox(store).append([delivery(1, connection=f"behind by {behind}")])
    (entry,) = Inbox(store).read(EVERYTHING, after=before).events
    assert abs(entry.received_at - time.time()) < 60
    store.dispose()


def test_pooler_may_give_each_transaction_another_connection(empty_postgres_url: str) -> None:
    with pooled(empty_postgres_url) as url:
        store = Store(url)
        inbox = Inbox(store)
        new = [inbox.append([delivery(number), delivery(number)]) for number in range(6)]
        found = inbox.read(EVERYTHING).events
        store.dispose()

    assert new == [[True, False]] * 6
    assert [one.event.screening_id for one in found] == [f"s{number}" for number in range(6)]
