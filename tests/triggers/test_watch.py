"""The trigger behind waits for screenings."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import time

import pytest

from pihupulse_provider.api import clock
from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.triggers.base import loaded_hook
from pihupulse_provider.triggers.waiting import recall
from pihupulse_provider.triggers.watch import WatchTrigger
from pihupulse_provider.waiting.wait_spec import WaitSpec
from pihupulse_provider.waiting.wait_state import ScreeningSnapshot, WaitState


def trigger_for(ids, **options):
    options = {"interval": 0.2, "timeout": 20.0, **options}
    return WatchTrigger(
        "pihupulse_default", WaitState(WaitSpec(dict.fromkeys(ids), clock.now(), **options)).dump(clock.now())
    )


async def event_of(trigger):
    return (await anext(trigger.run())).payload


def screenings_of(sandbox, count):
    return sandbox.insert_screenings(sandbox.insert_candidates(count))


class TestSerialize:
    def test_every_argument_survives(self):
        trigger = trigger_for(["s1"], wait_for="any", deadline=5.0)
        path, arguments = json.loads(json.dumps(trigger.serialize()))
        module, _, name = path.rpartition(".")
        again = getattr(importlib.import_module(module), name)(**arguments)
        assert again.serialize() == trigger.serialize()
        assert set(arguments) == set(inspect.signature(WatchTrigger).parameters)


class TestRun:
    async def test_it_fires_once_all_is_decided(self, pihupulse_sandbox):
        ids = screenings_of(pihupulse_sandbox, 3)
        event = await event_of(trigger_for(ids))
        state = recall(WaitSpec({}, 0.0), event)
        assert event["end"] == "decided"
        assert [one.status for one in state] == ["completed"] * 3

    async def test_it_fires_at_the_deadline_with_what_there_is(self, pihupulse_sandbox):
        ids = screenings_of(pihupulse_sandbox, 2)
        pihupulse_sandbox.put(ids[1], "pending")
        event = await event_of(trigger_for(ids, deadline=1.0))
        state = recall(WaitSpec({}, 0.0), event)
        assert event["end"] == "deadline"
        assert [one.status for one in state] == ["completed", "pending"]

    async def test_it_polls_once_more_before_its_limit_ends_it(self, pihupulse_sandbox):
        ids = screenings_of(pihupulse_sandbox, 3)
        event = await event_of(trigger_for(ids, interval=10.0, deadline=1.0))
        assert event["end"] == "decided"
        assert [one.status for one in recall(WaitSpec({}, 0.0), event)] == ["completed"] * 3

    @pytest.mark.parametrize("limit", [{"timeout": 100.0}, {"deadline": 100.0, "timeout": 200.0}])
    async def test_one_that_starts_after_its_limit_polls_too(self, pihupulse_sandbox, limit):
        ids = screenings_of(pihupulse_sandbox, 3)
        pihupulse_sandbox.advance(600)
        state = WaitState(WaitSpec(dict.fromkeys(ids), 0.0, interval=60.0, **limit))
        event = await event_of(WatchTrigger("pihupulse_default", state.dump(now=500.0)))
        assert event["end"] == "decided"
        assert pihupulse_sandbox.count() == 1

    async def test_one_that_starts_after_its_limit_in_vain_says_what_its_task_saw(self, pihupulse_sandbox):
        ids = screenings_of(pihupulse_sandbox, 1)
        state = WaitState(WaitSpec(dict.fromkeys(ids), 0.0, deadline=100.0))
        state.see([ScreeningSnapshot(ids[0], "c9", "pending")])
        pihupulse_sandbox.fail("html")
        event = await event_of(WatchTrigger("pihupulse_default", state.dump(now=500.0)))
        assert event["end"] == "deadline"
        assert list(recall(WaitSpec({}, 0.0), event)) == [ScreeningSnapshot(ids[0], "c9", "pending")]

    async def test_its_event_shows_itself_in_the_log_as_a_person_reads_it(self, pihupulse_sandbox):
        ids = screenings_of(pihupulse_sandbox, 1)
        event = await anext(trigger_for(ids).run())
        assert repr(event) == "TriggerEvent<1 of 1 screening completed, 0 failed, 0 waiting (decided)>"

    async def test_it_fires_when_the_key_is_refused_so_that_the_task_fails_as_when_poking(
        self, pihupulse_sandbox, monkeypatch
    ):
        ids = screenings_of(pihupulse_sandbox, 1)
        connection = {**json.loads(pihupulse_sandbox.connection_json), "password": "wrong"}
        monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", json.dumps(connection))
        assert (await event_of(trigger_for(ids)))["end"] == "error"

    async def test_one_that_is_made_anew_after_a_restart_goes_on_where_it_was(self, pihupulse_sandbox):
        ids = screenings_of(pihupulse_sandbox, 1)
        pihupulse_sandbox.put(ids[0], "pending")
        first = trigger_for(ids)
        running = asyncio.create_task(event_of(first))
        await asyncio.sleep(0.5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        pihupulse_sandbox.complete(ids[0], 77)
        event = await event_of(WatchTrigger(**first.serialize()[1]))
        assert next(iter(recall(WaitSpec({}, 0.0), event))).score == 77

    async def test_it_says_how_far_it_is_when_that_changes(self, pihupulse_sandbox, capsys):
        ids = screenings_of(pihupulse_sandbox, 2)
        pihupulse_sandbox.put(ids[1], "paused")
        await event_of(trigger_for(ids, deadline=1.0))
        log = capsys.readouterr().out
        assert "1 of 2 screenings completed, 0 failed, 1 waiting." in log
        assert log.count("'paused'") == 1

    async def test_it_ends_at_the_deadline_although_it_says_how_far_it_is_during_the_last_poll(self, pihupulse_sandbox):
        """Each end of the list shows one that is completed: the first is reported while the other is being read."""
        ids = screenings_of(pihupulse_sandbox, 300)
        pihupulse_sandbox.put(ids[150], "pending")
        for one in (ids[0], ids[-1]):
            pihupulse_sandbox.complete(one, 80)
        event = await event_of(trigger_for([ids[0], ids[150], ids[-1]], deadline=0.01))
        assert event["end"] == "deadline"
        assert [one.status for one in recall(WaitSpec({}, 0.0), event)] == ["completed", "pending", "completed"]


class TestTogether:
    async def test_a_thousand_share_their_requests_and_do_not_block_the_event_loop(self, pihupulse_sandbox):
        ids = screenings_of(pihupulse_sandbox, 1000)
        for one in ids:
            pihupulse_sandbox.put(one, "pending")
        held = []

        async def measure():
            while True:
                before = time.thread_time()
                await asyncio.sleep(0.01)
                held.append(time.thread_time() - before)

        measuring = asyncio.create_task(measure())
        waits = [asyncio.create_task(event_of(trigger_for([one], interval=1.0, timeout=60.0))) for one in ids]
        await asyncio.sleep(3)
        asked = pihupulse_sandbox.count()
        for one in ids:
            pihupulse_sandbox.complete(one)
        assert {event["end"] for event in await asyncio.gather(*waits)} == {"decided"}
        measuring.cancel()
        assert asked <= 4 * 10
        # In slices: as a share of all the work in the loop, so that neither the machine's speed nor its load matters.
        assert sorted(held)[len(held) * 9 // 10] < 0.03 * sum(held)

    async def test_a_connection_is_read_once_for_all(self, pihupulse_sandbox, monkeypatch):
        reads = []
        load = PihuPulseHook.get_async_account

        async def counted(hook):
            reads.append(hook.pihupulse_conn_id)
            return await load(hook)

        monkeypatch.setattr(PihuPulseHook, "get_async_account", counted)
        hooks = await asyncio.gather(*(loaded_hook("pihupulse_default") for _ in range(50)))
        assert len(set(map(id, hooks))) == 1
        assert len(reads) == 1

    async def test_a_connection_that_cannot_work_is_read_again_next_time(self, pihupulse_sandbox, monkeypatch):
        monkeypatch.delenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT")
        with pytest.raises(Exception, match="pihupulse_default"):
            await loaded_hook("pihupulse_default")
        monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", pihupulse_sandbox.connection_json)
        assert await loaded_hook("pihupulse_default")
