"""Events derived from lists: each stage once, in order, nothing of what was there before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pihupulse_provider.api import Client, NoAnswerError, RetryPolicy
from pihupulse_provider.api.account import Account
from pihupulse_provider.api.events import WebhookEvent
from pihupulse_provider.api.logs import utc
from pihupulse_provider.api.models import Candidate
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.event_watermarks import EventWatermarks
from pihupulse_provider.store.inbox import Delivery, Inbox, head_table
from pihupulse_provider.webhooks.polling import Poller, candidate_steps
from tests.api.drivers import Clock
from tests.webhooks.conftest import stored

CREATED = "screening.created"
ALL_STAGES = [CREATED, "screening.started", "screening.completed", "report.generated"]
RETENTION = 30 * 86400.0


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(start_seconds=3600, screening_seconds=3600) as sandbox:
        yield sandbox


@pytest.fixture
def clock() -> Clock:
    """The store's clock."""
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}", wall_clock=clock)
    yield store
    store.dispose()


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    return Client(Account(sandbox.api_key, sandbox.base_url), retry=RetryPolicy(attempts=1))


@pytest.fixture
def poller(sandbox: Sandbox, client: Client, inbox: Inbox) -> Poller:
    return Poller(inbox, client, "pihupulse_default", retention=RETENTION, clock=lambda: now(sandbox))


def add(sandbox: Sandbox, count: int = 1) -> list[str]:
    return sandbox.insert_screenings(sandbox.insert_candidates(count))


def now(sandbox: Sandbox) -> float:
    """Return the time in epoch seconds as the sandbox has it."""
    return sandbox.account.clock.now()


def watermarks(store: Store, poller: Poller) -> EventWatermarks:
    """Return those of the list of screenings, as another process has them."""
    return EventWatermarks(store, "pihupulse_default", poller.client.account.key, "screenings")


def reported(inbox: Inbox) -> list[tuple[str, str | None]]:
    return [(entry.event.event, entry.event.screening_id) for entry in stored(inbox)]


def test_what_was_there_before_is_not_told_and_the_log_says_so_once(
    sandbox: Sandbox, poller: Poller, inbox: Inbox, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    old = add(sandbox, 150)
    sandbox.complete(old[0])
    sandbox.advance(60)
    assert poller.poll() == 0
    assert caplog.text.count("was polled for the first time for pihupulse_default: events since ") == 2
    assert "The list of candidates was" in caplog.text
    assert f"{utc(now(sandbox))} are reported, and none of what happened before." in caplog.text
    assert poller.poll() == 0
    assert caplog.text.count("first time") == 2
    assert stored(inbox) == []


def test_every_stage_is_told_once_and_in_order(sandbox: Sandbox, poller: Poller, inbox: Inbox):
    waiting = add(sandbox)[0]
    poller.poll()
    new = add(sandbox)[0]
    assert poller.poll(ALL_STAGES) == 1
    sandbox.complete(waiting, 70)
    sandbox.complete(new, 90)
    assert poller.poll(ALL_STAGES) == 6
    assert poller.poll(ALL_STAGES) == 0
    assert [event for event, screening in reported(inbox) if screening == waiting] == ALL_STAGES[1:]
    assert [event for event, screening in reported(inbox) if screening == new] == ALL_STAGES
    scores = {entry.event.public()["score"] for entry in stored(inbox) if entry.event.event == "screening.completed"}
    assert scores == {70, 90}


@pytest.mark.parametrize("followed_before", [False, True])
def test_what_came_since_a_reader_waits_is_told_once(
    sandbox: Sandbox, poller: Poller, inbox: Inbox, followed_before: bool
):
    early, late, waiting = add(sandbox, 3)
    sandbox.complete(early, 1)
    sandbox.advance(600)
    since = now(sandbox)
    sandbox.complete(late, 2)
    sandbox.advance(600)
    if followed_before:
        assert poller.poll(ALL_STAGES) == 0
    assert poller.poll(ALL_STAGES, since=since) == 3
    assert reported(inbox) == [(event, late) for event in ALL_STAGES[1:]]
    assert poller.poll(ALL_STAGES, since=since) == 0
    sandbox.complete(waiting, 3)
    assert poller.poll(ALL_STAGES) == 3


def test_what_a_reader_waits_for_is_told_by_the_reading_of_another(sandbox: Sandbox, poller: Poller, inbox: Inbox):
    since = now(sandbox)
    (one,) = add(sandbox)
    sandbox.complete(one)
    sandbox.advance(600)
    poller.poll(ALL_STAGES)
    assert poller.poll(ALL_STAGES, every=60, since=since) == 0
    assert poller.poll(ALL_STAGES) == 3
    assert {screening for _, screening in reported(inbox)} == {one}


def test_no_more_is_told_than_the_inbox_keeps(sandbox: Sandbox, poller: Poller, inbox: Inbox):
    (old,) = add(sandbox)
    sandbox.complete(old)
    sandbox.advance(2 * RETENTION)
    (new,) = add(sandbox)
    sandbox.complete(new)
    assert poller.poll(ALL_STAGES, since=0.0) == 3
    assert {screening for _, screening in reported(inbox)} == {new}


def test_what_happens_during_the_first_reading_is_told(
    sandbox: Sandbox, client: Client, poller: Poller, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
):
    *_, last = add(sandbox, 150)
    run = client.run

    def completed_after_the_first_page(*call: Any, **options: Any) -> Any:
        page = run(*call, **options)
        sandbox.complete(last)
        return page

    monkeypatch.setattr(client, "run", completed_after_the_first_page)
    assert poller.poll(["report.generated"]) == 3
    assert reported(inbox) == [(event, last) for event in ALL_STAGES[1:]]


def test_a_reading_that_begins_during_the_first_hides_nothing_of_it(
    sandbox: Sandbox, client: Client, poller: Poller, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
):
    """The first takes long; what it no longer sees, because it has read that page, the second reports."""
    first, *_ = add(sandbox, 150)
    run, pages = client.run, []

    def overlapping(*call: Any, **options: Any) -> Any:
        page = run(*call, **options)
        pages.append(page)
        if len(pages) == 2:
            sandbox.complete(first if page.data[0].id != first else page.data[-1].id)
            sandbox.advance(60)
            poller.poll(ALL_STAGES)
        return page

    monkeypatch.setattr(client, "run", overlapping)
    poller.poll(ALL_STAGES)
    poller.poll(ALL_STAGES)
    assert [event for event, _ in reported(inbox)] == ALL_STAGES[1:]


def test_what_shifts_out_of_sight_of_the_first_reading_is_not_told(
    sandbox: Sandbox, client: Client, poller: Poller, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
):
    add(sandbox, 350)
    run, pages = client.run, []

    def deleted_meanwhile(*call: Any, **options: Any) -> Any:
        page = run(*call, **options)
        pages.append(page)
        if len(pages) == 2:
            sandbox.delete(page.data[0].id)
        return page

    monkeypatch.setattr(client, "run", deleted_meanwhile)
    assert poller.poll([CREATED]) == 0
    assert poller.poll([CREATED]) == 0
    (new,) = add(sandbox)
    assert poller.poll([CREATED]) == 1
    assert reported(inbox) == [(CREATED, new)]


def test_a_list_that_changes_all_the_time_is_followed_all_the_same(
    sandbox: Sandbox, client: Client, poller: Poller, monkeypatch: pytest.MonkeyPatch
):
    add(sandbox, 150)
    run = client.run

    def growing(*call: Any, **options: Any) -> Any:
        page = run(*call, **options)
        add(sandbox)
        return page

    monkeypatch.setattr(client, "run", growing)
    assert poller.poll([CREATED]) == 0
    monkeypatch.setattr(client, "run", run)
    assert sandbox.count("GET /screenings") == 6
    add(sandbox)
    assert poller.poll([CREATED]) >= 1


def test_a_first_reading_that_outlasts_another_hides_nothing_that_comes_after_that(
    sandbox: Sandbox, client: Client, poller: Poller, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
):
    add(sandbox, 250)
    run, new = client.run, []

    def overtaken(*call: Any, **options: Any) -> Any:
        monkeypatch.setattr(client, "run", run)
        page = run(*call, **options)
        poller.poll([CREATED])
        new.extend(add(sandbox))
        return page

    monkeypatch.setattr(client, "run", overtaken)
    poller.poll([CREATED])
    poller.poll([CREATED])
    assert reported(inbox) == [(CREATED, one) for one in new]


def test_a_first_reading_that_broke_off_is_made_up_for(
    sandbox: Sandbox, client: Client, poller: Poller, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
):
    *_, last = add(sandbox, 150)
    run = client.run

    def breaking_off(*call: Any, **options: Any) -> Any:
        page = run(*call, **options)
        sandbox.fail_next("drop")
        return page

    monkeypatch.setattr(client, "run", breaking_off)
    with pytest.raises(NoAnswerError):
        poller.poll(["report.generated"])
    monkeypatch.setattr(client, "run", run)
    sandbox.complete(last)
    sandbox.advance(60)
    assert poller.poll(ALL_STAGES) == 3


def test_candidates_are_told_by_their_ids_alone(sandbox: Sandbox, poller: Poller, inbox: Inbox):
    sandbox.insert_candidates(120)
    sandbox.advance(60)
    poller.poll(["candidate.created"])
    (new,) = sandbox.insert_candidates(1)
    assert poller.poll(["candidate.created"]) == 1
    (entry,) = stored(inbox)
    assert entry.event.data == {"candidate_id": new}


def test_only_lists_that_show_the_wanted_events_are_read(sandbox: Sandbox, poller: Poller):
    poller.poll(["report.generated"])
    assert sandbox.count("GET /candidates") == 0
    assert sandbox.count("GET /screenings") == 1


def test_all_who_share_a_store_share_the_readings(sandbox: Sandbox, client: Client, poller: Poller, inbox: Inbox):
    others = [Poller(inbox, client, "pihupulse_default", retention=RETENTION) for _ in range(10)]
    for one in [poller, *others]:
        one.poll(["report.generated"], every=60)
    assert sandbox.count("GET /screenings") == 1


def test_a_reading_that_broke_off_is_made_up_for_by_the_next_and_not_at_once(
    sandbox: Sandbox, poller: Poller, inbox: Inbox, clock: Clock
):
    """A hundred waits do not ask one after the other while PihuPulse is away."""
    (waiting,) = add(sandbox)
    poller.poll(ALL_STAGES)
    sandbox.complete(waiting)
    sandbox.fail("drop")
    with pytest.raises(NoAnswerError):
        poller.poll(ALL_STAGES)
    for _ in range(10):
        assert poller.poll(ALL_STAGES, every=60) == 0
    sandbox.heal()
    clock.now += 60
    assert poller.poll(ALL_STAGES, every=60) == 3
    assert len(reported(inbox)) == 3


@pytest.mark.parametrize(
    ("screenings", "looks", "seconds", "every", "pages"), [(450, 1, 40, 60, 5), (1, 10, 5, 5, 1)], ids=["pages", "page"]
)
def test_a_reading_that_takes_long_is_not_joined_by_others(
    sandbox: Sandbox,
    client: Client,
    poller: Poller,
    inbox: Inbox,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    screenings: int,
    looks: int,
    seconds: float,
    every: float,
    pages: int,
):
    """Be it for its pages, or for one that takes longer than the interval: nobody asks a slow PihuPulse for more."""
    add(sandbox, screenings)
    run = client.run
    other = Poller(inbox, Client(client.account), "pihupulse_default", retention=RETENTION)

    def slow(*call: Any, **options: Any) -> Any:
        for _ in range(looks):
            clock.now += seconds
            assert other.poll(ALL_STAGES, every=every) == 0
        return run(*call, **options)

    monkeypatch.setattr(client, "run", slow)
    poller.poll(ALL_STAGES, every=every)
    assert sandbox.count("GET /screenings") == pages


def test_a_reading_that_was_killed_is_made_up_for(sandbox: Sandbox, poller: Poller, store: Store, clock: Clock):
    (waiting,) = add(sandbox)
    poller.poll(ALL_STAGES)
    clock.now += 60
    assert watermarks(store, poller).claim(5.0)
    sandbox.complete(waiting)
    clock.now += 66
    assert poller.poll(ALL_STAGES, every=5) == 3


@pytest.mark.parametrize("step", [-3000.0, 3000.0])
def test_a_clock_that_is_set_while_a_list_is_read_does_not_stop_polling(
    sandbox: Sandbox, poller: Poller, store: Store, clock: Clock, step: float
):
    add(sandbox)
    poller.poll(ALL_STAGES)
    watermarks(store, poller).claim(0.0)
    clock.now += step
    assert poller.poll(ALL_STAGES, every=60) == 0
    assert sandbox.count("GET /screenings") == 2


def test_who_asks_for_a_new_reading_waits_for_one_that_goes_on_and_then_reads(
    sandbox: Sandbox, client: Client, inbox: Inbox, store: Store, clock: Clock
):
    (waiting,) = add(sandbox)
    poller = Poller(inbox, client, "pihupulse_default", retention=RETENTION)
    poller.poll(ALL_STAGES)
    clock.now += 60
    other = watermarks(store, poller)
    assert other.claim(5.0)
    sandbox.complete(waiting)

    waits: list[float] = []

    def sleep(seconds: float) -> None:
        clock.now += seconds
        waits.append(seconds)
        assert len(waits) < 100
        if len(waits) == 20:
            other.end()

    last = Poller(inbox, client, "pihupulse_default", retention=RETENTION, sleep=sleep)
    assert last.poll_anew(ALL_STAGES) == 3


def test_those_who_ask_for_a_new_reading_share_it(sandbox: Sandbox, client: Client, inbox: Inbox, clock: Clock):
    """A hundred sensors that end at the same time do not all read the list."""

    waits: list[float] = []

    def sleep(seconds: float) -> None:
        clock.now += seconds
        waits.append(seconds)
        assert len(waits) < 100
        if len(waits) == 2:
            other.claim(0.0)
        elif len(waits) == 10:
            other.end()

    poller = Poller(inbox, client, "pihupulse_default", retention=RETENTION, sleep=sleep)
    other = watermarks(inbox.store, poller)
    poller.poll(ALL_STAGES)
    assert poller.poll_anew(ALL_STAGES) == 0
    assert len(waits) == 10
    assert sandbox.count("GET /screenings") == 1


def test_whoever_finds_that_no_reading_is_due_keeps_no_writer_waiting(poller: Poller, inbox: Inbox, store: Store):
    poller.poll(ALL_STAGES, since=100.0)
    writer = Store(store._url.render_as_string(hide_password=False))
    with writer.begin() as writing:
        writing.execute(sa.update(head_table).values(position=head_table.c.position))
        assert poller.poll(ALL_STAGES, every=60, since=200.0) == 0
    writer.dispose()


def test_another_account_behind_the_connection_begins_anew(sandbox: Sandbox, poller: Poller, inbox: Inbox):
    poller.poll(ALL_STAGES)
    with Sandbox(start_seconds=3600) as other:
        add(other, 3)
        moved: Any = Client(Account(other.api_key, other.base_url))
        assert Poller(inbox, moved, "pihupulse_default", retention=RETENTION).poll(ALL_STAGES) == 0


@pytest.mark.parametrize("strange", ["c\x00", "c\ud83d", "c" * 300, "c\n", "团队"], ids=ascii)
def test_an_id_of_any_kind_neither_stops_polling_nor_is_lost(postgres_url: str, strange: str):
    store = Store(postgres_url)
    watermarks = EventWatermarks(store, f"strange {ascii(strange)[:40]}", "account", "candidates")
    watermarks.claim(0.0)
    assert watermarks.stages([strange, "c1"]) == {}
    watermarks.advance({strange: 1, "c1": 2})
    watermarks.advance({strange: 2})
    assert watermarks.stages([strange, "c1"]) == {strange: 2, "c1": 2}
    (step,) = candidate_steps(Candidate(id=strange))
    deliveries = [Delivery("strange", WebhookEvent.parse(body), body) for body in step.bodies()]
    assert Inbox(store).append(deliveries) == [True]
    store.dispose()
