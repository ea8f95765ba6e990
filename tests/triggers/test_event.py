"""The triggers on events: asset events once and in order, and the end of a task's wait."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import time
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

import pytest

from pihupulse_provider.api import ConfigurationError, clock
from pihupulse_provider.hooks import settings
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store.activity import TaskRef
from pihupulse_provider.store.cursors import Cursor, list_cursors
from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.store.inbox import EventFilter, Inbox
from pihupulse_provider.store.overview import Wanted, read_overview
from pihupulse_provider.triggers import event_wait
from pihupulse_provider.triggers.event import EventStream, PihuPulseEventTrigger
from pihupulse_provider.triggers.event_wait import EventWaitTrigger
from pihupulse_provider.triggers.watch import WatchTrigger
from pihupulse_provider.waiting.inbox_tail import READ_SECONDS
from pihupulse_provider.waiting.wait_board import shared_board
from pihupulse_provider.waiting.wait_spec import WaitSpec
from pihupulse_provider.waiting.wait_state import WaitState, unpack
from tests.webhooks.inboxes import cursor_of, receive, receive_all


@asynccontextmanager
async def running(trigger):
    """Run a trigger, and yield a queue of the screenings that it tells of."""
    payloads = asyncio.Queue()

    async def run():
        async for event in trigger.run():
            payloads.put_nowait(event.payload)

    task = asyncio.create_task(run())
    try:
        yield payloads
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def next_of(payloads, number, seconds=5):
    async with asyncio.timeout(seconds):
        return [(await payloads.get())["screening_id"] for _ in range(number)]


async def until(is_so):
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.05)


class TestSerialize:
    @pytest.mark.parametrize(
        "trigger",
        [
            PihuPulseEventTrigger(
                events={"report.generated", "screening.completed"},
                consumer="mine",
                start="latest",
                source="polling",
                poll_interval=7.5,
                include_personal=True,
                allow_unknown_event=True,
                pihupulse_conn_id="other",
            ),
            EventWaitTrigger({"events": ["x"]}, "polling", 7.5, "other", seconds=12.5, until=99.5),
        ],
        ids=lambda trigger: type(trigger).__name__,
    )
    def test_every_argument_survives(self, trigger):
        path, arguments = json.loads(json.dumps(trigger.serialize()))
        module, _, name = path.rpartition(".")
        again = getattr(importlib.import_module(module), name)(**arguments)
        assert again.serialize() == trigger.serialize()
        assert set(arguments) == set(inspect.signature(type(trigger)).parameters)

    @pytest.mark.parametrize("interval", [0, -5, None, float("nan"), "60"])
    def test_an_interval_that_is_none_is_refused_when_the_dag_is_parsed(self, interval):
        with pytest.raises(ConfigurationError, match="poll_interval must be a number of seconds above 0"):
            PihuPulseEventTrigger(source="polling", poll_interval=interval)

    def test_an_interval_may_be_a_timedelta(self):
        _, arguments = PihuPulseEventTrigger(source="polling", poll_interval=timedelta(minutes=5)).serialize()
        assert arguments["poll_interval"] == 300.0

    def test_by_default_a_triggerer_of_1_0_0_understands_it(self):
        _, arguments = PihuPulseEventTrigger().serialize()
        known = {"events", "consumer", "start", "source", "poll_interval", "include_personal", "pihupulse_conn_id"}
        assert arguments.keys() == known

    def test_the_same_events_have_the_same_cursor_whatever_their_order(self):
        one = PihuPulseEventTrigger(events=["report.generated", "screening.completed"])
        other = PihuPulseEventTrigger(events=["screening.completed", "report.generated"])
        assert one.serialize() == other.serialize()
        assert one.shared_stream_key() == other.shared_stream_key()
        assert one.consumer == "assets:report.generated,screening.completed"


class TestAssetEvents:
    async def test_each_comes_once_and_in_order(self, consumer):
        receive(f"s1-{consumer}")
        async with running(PihuPulseEventTrigger(consumer=consumer)) as payloads:
            assert await next_of(payloads, 1) == [f"s1-{consumer}"]
            for number in range(2, 6):
                receive(f"s{number}-{consumer}")
            assert await next_of(payloads, 4) == [f"s{number}-{consumer}" for number in range(2, 6)]
            await asyncio.sleep(1.5)
            assert payloads.empty()

    async def test_the_payload_is_ids_status_and_score(self, consumer):
        receive(f"s1-{consumer}", candidate_name="Jane Doe")
        async with running(PihuPulseEventTrigger(consumer=consumer)) as payloads:
            payload = await payloads.get()
        assert payload["score"] == 85
        assert "Jane" not in json.dumps(payload)

    async def test_only_the_events_asked_for(self, consumer):
        receive(f"s1-{consumer}", "screening.started")
        receive(f"s2-{consumer}", "report.generated")
        async with running(PihuPulseEventTrigger(consumer=consumer, events="report.generated")) as payloads:
            assert await next_of(payloads, 1) == [f"s2-{consumer}"]

    async def test_what_was_not_surely_stored_comes_again_after_a_restart(self, consumer):
        receive(f"s1-{consumer}")
        for _ in range(2):
            async with running(PihuPulseEventTrigger(consumer=consumer)) as payloads:
                assert await next_of(payloads, 1) == [f"s1-{consumer}"]

    async def test_a_cursor_set_back_replays(self, consumer):
        receive(f"s1-{consumer}")
        async with running(PihuPulseEventTrigger(consumer=consumer)) as payloads:
            position = (await payloads.get())["position"]
            cursor_of(consumer).seek(position)
            await asyncio.sleep(1.2)
            cursor_of(consumer).seek(position - 1)
            assert await next_of(payloads, 1) == [f"s1-{consumer}"]

    async def test_it_outlives_a_store_that_cannot_be_written(self, consumer, monkeypatch):
        monkeypatch.setattr("pihupulse_provider.triggers.event._STORED_WITHIN", 0.0)
        commit, failures = Cursor.commit, [StoreError("away")]

        def failing_once(self, *arguments):
            if failures:
                raise failures.pop()
            commit(self, *arguments)

        monkeypatch.setattr(Cursor, "commit", failing_once)
        receive(f"s1-{consumer}")
        async with running(PihuPulseEventTrigger(consumer=consumer)) as payloads:
            await payloads.get()
            receive(f"s2-{consumer}")
            assert await next_of(payloads, 1) == [f"s2-{consumer}"]
            assert not failures

    async def test_nothing_comes_again_after_a_commit_of_which_nothing_was_heard(self, consumer, monkeypatch):
        commit, failures = Cursor.commit, [StoreError("the connection was lost")]

        def unheard_once(self, *arguments):
            commit(self, *arguments)
            if failures:
                raise failures.pop()

        monkeypatch.setattr(Cursor, "commit", unheard_once)
        receive(f"s1-{consumer}")
        receive(f"s2-{consumer}")
        stream = EventStream(PihuPulseEventTrigger(consumer=consumer))
        async with aclosing(stream.entries()) as entries:
            first, second = [await anext(entries) for _ in range(2)]
            await stream.commit(first.position, stream.reading)
            assert [await anext(entries) for _ in range(2)] == [None, None]
            await stream.commit(second.position, stream.reading)
        assert cursor_of(consumer).position() == second.position

    async def test_a_new_consumer_may_begin_with_what_comes_next(self, consumer):
        receive(f"s1-{consumer}")
        late, store = f"late-{consumer}", settings.store()
        async with running(PihuPulseEventTrigger(consumer=late, start="latest")) as payloads:
            await until(lambda: late in [one.consumer for one in list_cursors(store)])
            receive(f"s2-{consumer}")
            assert await next_of(payloads, 1) == [f"s2-{consumer}"]

    async def test_events_are_derived_where_no_webhook_comes_in(self, consumer, pihupulse_sandbox):
        (screening,) = pihupulse_sandbox.insert_screenings(pihupulse_sandbox.insert_candidates(1))
        pihupulse_sandbox.put(screening, "pending")
        trigger = PihuPulseEventTrigger(
            consumer=consumer, source="polling", poll_interval=0.2, events=["screening.completed"]
        )
        readings = pihupulse_sandbox.count("GET /screenings")
        async with running(trigger) as payloads:
            await until(lambda: pihupulse_sandbox.count("GET /screenings") > readings + 1)
            pihupulse_sandbox.complete(screening, 91)
            assert await next_of(payloads, 1) == [screening]

    async def test_it_hands_on_what_comes_while_the_lists_are_read(self, consumer, pihupulse_sandbox):
        trigger = PihuPulseEventTrigger(consumer=consumer, source="polling", events=["screening.started"])
        pihupulse_sandbox.fail("latency", seconds=6)
        async with running(trigger) as payloads:
            await asyncio.sleep(0.5)
            receive(f"s1-{consumer}", "screening.started")
            assert await next_of(payloads, 1, seconds=3) == [f"s1-{consumer}"]


class TestWaits:
    async def test_hundreds_share_their_reads(self, pihupulse_sandbox, monkeypatch):
        reads = []
        read = Inbox.read

        def counted(inbox, wanted, **options):
            reads.append(wanted)
            return read(inbox, wanted, **options)

        monkeypatch.setattr(Inbox, "read", counted)
        names = [f"many-{number}" for number in range(300)]
        waits = [asyncio.create_task(anext(_wait_for(name).run())) for name in names]
        while len(reads) < 300:
            await asyncio.sleep(0.1)
        reads.clear()
        began = time.monotonic()
        await asyncio.sleep(2)
        assert len(reads) <= (time.monotonic() - began) / READ_SECONDS + 1
        receive_all(names)
        events = await asyncio.gather(*waits)
        assert len({event.payload["position"] for event in events}) == 300

    async def test_a_slow_pihupulse_holds_up_only_the_polls(self, pihupulse_sandbox, consumer):
        pihupulse_sandbox.fail("latency", seconds=4)
        polled = [_wait_for("never", seconds=5, source="polling", poll_interval=0.1) for _ in range(40)]
        waits = [asyncio.create_task(anext(trigger.run())) for trigger in polled]
        try:
            await asyncio.sleep(1)
            requests = pihupulse_sandbox.count()
            waiting = asyncio.create_task(anext(_wait_for(f"s1-{consumer}").run()))
            receive(f"s1-{consumer}")
            async with asyncio.timeout(2):
                assert "position" in (await waiting).payload
            assert requests <= 2
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def test_it_ends_in_time_when_nothing_comes(self, pihupulse_sandbox):
        event = await anext(_wait_for("never", seconds=0.3).run())
        assert event.payload == {"end": "timeout"}

    async def test_one_that_polls_without_a_pause_is_shown_and_so_are_the_others(self, pihupulse_sandbox, monkeypatch):
        monkeypatch.setattr(event_wait, "poll_events", _see_nothing)
        waits = []
        for task_id, poll_interval in (("hasty", 0.0), ("patient", 60.0)):
            trigger = _wait_for("never", source="polling", poll_interval=poll_interval)
            trigger.task_instance = TaskRef("shown_dag", "run", task_id, -1, 1)
            waits.append(asyncio.create_task(anext(trigger.run())))
        try:
            async with asyncio.timeout(10):
                while _shown_of("shown_dag") != {"hasty", "patient"}:
                    await asyncio.sleep(0.05)
                    await shared_board(settings.store()).write()
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


async def _see_nothing(*_arguments, **_options):
    await asyncio.sleep(60)


def _shown_of(dag_id):
    def read(overview):
        return {"waits": overview.tasks(["wait"], Wanted(dag_id=dag_id), 50)}

    return {row.task_id for row in read_overview(settings.store(), lambda ids: ids, read)["waits"].rows}


def _wait_for(screening_id, seconds=None, source="webhooks", poll_interval=60.0):
    wanted = EventFilter(connection="pihupulse_default", screening_id=screening_id)
    return EventWaitTrigger.for_event(
        wanted, seconds=seconds, source=source, poll_interval=poll_interval, pihupulse_conn_id="pihupulse_default"
    )


class TestScreeningWaits:
    """The poller behind the screening sensor hears of webhooks too."""

    @pytest.fixture
    def pihupulse_sandbox(self, monkeypatch):
        """A PihuPulse whose screenings end only when a test says so."""
        with Sandbox(start_seconds=1e9, screening_seconds=1e9) as running:
            monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", running.connection_json)
            yield running

    @pytest.fixture
    def wait(self, pihupulse_sandbox, monkeypatch, tmp_path):
        # Other tests have had other accounts behind this connection, and screenings of the same ids.
        monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")
        monkeypatch.setenv("AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS", "pihupulse_default")
        (screening,) = pihupulse_sandbox.insert_screenings(pihupulse_sandbox.insert_candidates(1))

        def start(interval):
            state = WaitState(WaitSpec({screening: None}, clock.now(), interval=interval, timeout=60.0))
            values = state.dump(clock.now())
            return screening, asyncio.create_task(anext(WatchTrigger("pihupulse_default", values).run()))

        return start

    async def test_a_delivery_ends_one_within_two_seconds(self, wait, pihupulse_sandbox):
        screening, waiting = wait(interval=3600.0)
        await asyncio.sleep(1)
        requests = pihupulse_sandbox.count()
        receive(screening, score=91)
        async with asyncio.timeout(2):
            event = (await waiting).payload
        (seen,) = unpack(event["seen"])
        assert (event["end"], seen.status, seen.score) == ("decided", "completed", 91)
        assert pihupulse_sandbox.count() == requests

    async def test_polling_ends_one_whose_delivery_was_lost_if_later(self, wait, pihupulse_sandbox):
        screening, waiting = wait(interval=0.4)
        await asyncio.sleep(1)
        pihupulse_sandbox.complete(screening, 91)
        began = time.monotonic()
        async with asyncio.timeout(10):
            assert (await waiting).payload["end"] == "decided"
        assert time.monotonic() - began < 5
