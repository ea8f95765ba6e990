"""Triggers and their events that version 1.0.0 stored resume after an upgrade."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from pihupulse_provider.api import clock
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.sensors.event import PihuPulseEventSensor
from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor
from pihupulse_provider.triggers.event import PihuPulseEventTrigger
from tests.webhooks.inboxes import receive

STORED = json.loads(Path(__file__).with_name("version_1_0_0.json").read_text("utf-8"))


@pytest.fixture
def pihupulse_sandbox(monkeypatch, tmp_path):
    """A PihuPulse with the two screenings that the stored trigger waits for, the first of them completed."""
    with Sandbox(start_seconds=1e9, screening_seconds=1e9) as running:
        monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", running.connection_json)
        monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")
        assert running.insert_screenings(running.insert_candidates(2)) == ["s67890", "s67891"]
        running.complete("s67890", 77)
        yield running


def stored_trigger(name, **changes):
    path, arguments = json.loads(json.dumps(STORED["triggers"][name]))
    module, _, class_name = path.rpartition(".")
    arguments.get("terms", arguments).update(changes)
    return getattr(importlib.import_module(module), class_name)(**arguments)


def resumed(event):
    sensor = PihuPulseScreeningSensor(
        task_id="wait", screening_ids=["s67890", "s67891"], wait_for=0.5, deadline=100, timeout=200
    )
    return [(one["screening_id"], one["status"], one["score"]) for one in sensor.resume({}, event)]


@pytest.mark.parametrize("late", [False, True], ids=["in time", "after its limit"])
async def test_a_stored_wait_goes_on_and_its_task_resumes(pihupulse_sandbox, late):
    now = {} if late else {"started_at": clock.now()}
    event = (await anext(stored_trigger("wait", **now).run())).payload
    assert event["end"] == "decided"
    assert resumed(json.loads(json.dumps(event))) == [("s67890", "completed", 77), ("s67891", "pending", None)]


async def test_a_task_of_version_1_0_0_resumes_with_the_event_of_a_later_trigger(pihupulse_sandbox):
    """Its keys are what that version reads; the times are as it gave them."""
    event = (await anext(stored_trigger("wait").run())).payload
    assert {"end", "seen", "started_at"} <= set(event)
    assert event["started_at"] == STORED["triggers"]["wait"][1]["terms"]["started_at"]


def test_an_event_that_was_stored_resumes_its_task():
    assert resumed(STORED["events"]["wait"]) == [("s67890", "completed", 85), ("s67891", "pending", None)]


async def test_a_stored_wait_for_an_event_goes_on(pihupulse_sandbox):
    trigger = stored_trigger("event_wait", until=clock.now() + 20)
    receive("s67890", "report.generated")
    position = (await anext(trigger.run())).payload["position"]
    sensor = PihuPulseEventSensor(task_id="wait", event="report.generated", since=None)
    assert sensor.resume({}, {"position": position})["screening_id"] == "s67890"


async def test_a_stored_wait_for_an_event_that_starts_after_its_limit_leaves_the_last_look_to_the_task(
    pihupulse_sandbox,
):
    receive("s67890", "report.generated")
    event = (await anext(stored_trigger("event_wait").run())).payload
    sensor = PihuPulseEventSensor(task_id="wait", event="report.generated", since=None)
    assert sensor.resume({}, event)["screening_id"] == "s67890"


def test_a_stored_trigger_of_asset_events_keeps_its_cursor():
    trigger = stored_trigger("asset_events")
    assert isinstance(trigger, PihuPulseEventTrigger)
    assert trigger.serialize() == tuple(STORED["triggers"]["asset_events"])
