"""The event sensor, poking, rescheduling and deferring alike."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS
from airflow.sdk import task

from pihupulse_provider.api import ConfigurationError, PihuPulseError, TransportError, UnauthorizedError, clock
from pihupulse_provider.hooks import settings
from pihupulse_provider.hooks.webhooks import poller
from pihupulse_provider.sensors.event import PihuPulseEventSensor
from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.store.inbox import Inbox
from pihupulse_provider.triggers.event_wait import EventWaitTrigger
from pihupulse_provider.webhooks.polling import Poller
from tests.webhooks.inboxes import receive, receive_later

MODES = {"poke": {}, "reschedule": {"mode": "reschedule"}, "deferred": {"deferrable": True}}
TIMED_MODES = [mode for mode in MODES if AIRFLOW_V_3_1_PLUS or mode != "reschedule"]
"""Airflow 3.0 fails to sum up the time of a rescheduled sensor in dag.test()."""
TIMED_OUT = ("__fail__", {"error": "Trigger timeout"})
FIRED = ("resume", {"event": {"end": "timeout"}})
numbers = count(1)


class FirstTry:
    """A task instance that was not rescheduled."""

    dag_id = run_id = task_id = "wait"
    map_index, try_number = -1, 1

    def get_first_reschedule_date(self, _context):
        return None


@pytest.fixture(params=MODES, ids=str)
def mode(request):
    return MODES[request.param]


@pytest.fixture(params=TIMED_MODES, ids=str)
def timed_mode(request):
    return MODES[request.param]


@pytest.fixture
def screening_id():
    return f"sensor-{next(numbers)}"


@pytest.fixture
def pending(pihupulse_sandbox):
    """The id of a screening that waits for its candidate."""
    (screening_id,) = pihupulse_sandbox.insert_screenings(pihupulse_sandbox.insert_candidates(1))
    pihupulse_sandbox.put(screening_id, "pending")
    return screening_id


@pytest.fixture
def wait(dag_runs, pihupulse_sandbox):
    """Run a DAG of one sensor that was due when the test began."""
    due = datetime.now(UTC)

    def run(event="screening.completed", at=due, **options):
        with dag_runs.dag(retries=1) as dag:
            PihuPulseEventSensor(task_id="wait", event=event, **{"poke_interval": 0.2, "timeout": 20, **options})
        return dag_runs.run(dag, at=at)

    return run


def failed_with(run, *kinds):
    """Return whether each of its tries failed with such an error; Airflow 3.0 tells no error of a last try."""
    errors = run.errors.get(("wait", -1), [])
    fits = all(error is None or isinstance(error, kind) for error, kind in zip(errors, kinds, strict=False))
    return run.states("wait") == ["failed"] and len(errors) == len(kinds) and fits


def fail_once(monkeypatch, owner, name, error):
    """Have a method raise an error when it is called first."""
    errors, method = [error], getattr(owner, name)

    def fail(*arguments, **options):
        if errors:
            raise errors.pop()
        return method(*arguments, **options)

    monkeypatch.setattr(owner, name, fail)


class TestEveryMode:
    def test_it_returns_the_event_without_anything_personal(self, wait, mode, screening_id):
        receive_later(1, screening_id, candidate_name="Jane Doe", completed_at="2023-01-20T15:45:00Z")
        run = wait(screening_id=screening_id, **mode)
        assert run.state == "success"
        event = run.xcom("wait")
        assert {name: event[name] for name in event if name not in ("position", "received_at")} == {
            "event": "screening.completed",
            "created_at": "2023-01-20T15:45:00+00:00",
            "screening_id": screening_id,
            "candidate_id": "c12345",
            "template_id": "t54321",
            "status": None,
            "score": 85,
            "completed_at": "2023-01-20T15:45:00Z",
        }

    def test_a_store_that_is_away_at_a_look_does_not_end_it(self, wait, mode, screening_id, monkeypatch):
        receive(screening_id)
        for look in ("read", "newest"):
            fail_once(monkeypatch, Inbox, look, StoreError("away"))
        run = wait(screening_id=screening_id, **mode)
        assert run.xcom("wait")["screening_id"] == screening_id
        assert run.errors == {}

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_one_that_timed_out_is_shown_no_more(self, wait, timed_mode, screening_id, soft_fail):
        run = wait(screening_id=screening_id, timeout=0.5, soft_fail=soft_fail, **timed_mode)
        assert run.states("wait") == ["skipped" if soft_fail else "failed"]
        assert run.shown() == []

    def test_all_that_was_sent_comes_when_asked_for(self, wait, mode, screening_id):
        receive_later(1, screening_id, candidate_name="Jane Doe")
        run = wait(screening_id=screening_id, include_personal=True, **mode)
        assert run.xcom("wait")["data"]["candidate_name"] == "Jane Doe"

    def test_an_event_from_before_it_started_counts_from_when_the_run_was_due(self, wait, mode, screening_id):
        receive(screening_id)
        due = datetime.now(UTC) - timedelta(minutes=1)
        assert wait(screening_id=screening_id, at=due, timeout=0.5, **mode).state == "success"

    def test_an_event_from_before_the_run_does_not(self, wait, timed_mode, screening_id):
        receive(screening_id)
        run = wait(screening_id=screening_id, at=datetime.now(UTC), timeout=0.5, **timed_mode)
        assert failed_with(run, AirflowSensorTimeout)

    def test_unless_any_event_is_wanted(self, wait, mode, screening_id):
        receive(screening_id)
        assert wait(screening_id=screening_id, since=None, timeout=0.5, **mode).state == "success"

    @pytest.mark.parametrize("of", [{"candidate_id": "c-wanted"}, {"template_id": "t-wanted"}])
    def test_it_can_be_about_a_candidate_or_a_template(self, wait, mode, screening_id, of):
        receive_later(0.5, f"{screening_id}-other")
        receive_later(1, screening_id, **of)
        assert wait(**of, **mode).xcom("wait")["screening_id"] == screening_id

    def test_other_events_do_not_count(self, wait, mode, screening_id):
        receive_later(0.2, screening_id, "screening.started")
        receive_later(1.2, screening_id, "report.generated")
        assert wait("report.generated", screening_id=screening_id, **mode).xcom("wait")["event"] == "report.generated"

    def test_a_timeout_names_what_did_not_come(self, wait, timed_mode, screening_id):
        run = wait(screening_id=screening_id, timeout=0.5, **timed_mode)
        (error,) = run.errors["wait", -1]
        message = f"No screening.completed of screening {screening_id} came within 0.5 seconds."
        assert str(error) == message or not AIRFLOW_V_3_1_PLUS

    def test_a_timeout_tells_of_an_id_that_is_that_of_something_else(self, wait, screening_id):
        receive(screening_id, candidate_id=f"c-{screening_id}")
        run = wait(screening_id=f"c-{screening_id}", timeout=0.5, mode="poke")
        (error,) = run.errors["wait", -1]
        said = f" c-{screening_id} was given as screening_id, and the events that came have it as candidate_id."
        assert str(error).endswith(f"came within 0.5 seconds.{said}") or not AIRFLOW_V_3_1_PLUS

    def test_a_timeout_is_one_also_where_the_store_can_not_say_whose_an_id_is(self, wait, monkeypatch):
        def fail(*_args, **_options):
            raise StoreError("away")

        monkeypatch.setattr(Inbox, "newest", fail)
        run = wait(screening_id="c12345", timeout=0.5, soft_fail=True, mode="poke")
        assert run.states("wait") == ["skipped"]

    def test_a_timeout_skips_it_with_soft_fail(self, wait, timed_mode, screening_id):
        run = wait(screening_id=screening_id, timeout=0.5, soft_fail=True, **timed_mode)
        assert run.states("wait") == ["skipped"]


class TestPolling:
    # Every sandbox begins with the same ids, and times are whole seconds: only the score tells one test from another.

    @pytest.mark.parametrize("event", ["screening.completed", "report.generated"])
    def test_events_are_derived_where_no_webhook_comes_in(self, wait, mode, pihupulse_sandbox, pending, event):
        score = next(numbers)
        threading.Timer(1, pihupulse_sandbox.complete, [pending, score]).start()
        event_found = wait(event, screening_id=pending, source="polling", **mode).xcom("wait")
        assert (event_found["screening_id"], event_found["score"], event_found["event"]) == (pending, score, event)

    def test_what_happened_before_the_first_look_but_in_the_run_counts(self, wait, mode, pihupulse_sandbox, pending):
        score = next(numbers)
        pihupulse_sandbox.complete(pending, score)
        pihupulse_sandbox.advance(600)
        event_found = wait(screening_id=pending, source="polling", **mode).xcom("wait")
        assert (event_found["screening_id"], event_found["score"]) == (pending, score)

    def test_what_happened_before_the_run_does_not(self, wait, timed_mode, pihupulse_sandbox, pending):
        pihupulse_sandbox.advance(-600)
        pihupulse_sandbox.complete(pending, next(numbers))
        pihupulse_sandbox.advance(600)
        run = wait(screening_id=pending, source="polling", timeout=1, **timed_mode)
        assert failed_with(run, AirflowSensorTimeout)

    def test_a_poll_that_fails_does_not_end_it(self, wait, mode, pihupulse_sandbox, pending, monkeypatch):
        pihupulse_sandbox.put(pending, "completed")
        fail_once(monkeypatch, Poller, "poll", TransportError("no response"))
        run = wait(screening_id=pending, source="polling", since=None, **mode)
        assert run.xcom("wait")["screening_id"] == pending
        assert run.errors == {}

    def test_a_wrong_key_fails_the_task(self, wait, mode, pihupulse_sandbox, monkeypatch, screening_id):
        connection = {**json.loads(pihupulse_sandbox.connection_json), "password": "wrong"}
        monkeypatch.setenv("AIRFLOW_CONN_WRONG", json.dumps(connection))
        run = wait(screening_id=screening_id, source="polling", pihupulse_conn_id="wrong", **mode)
        assert failed_with(run, UnauthorizedError)


class TestArguments:
    def test_none_is_lost_on_the_way_into_the_trigger(self, pihupulse_sandbox):
        sensor = PihuPulseEventSensor(
            task_id="wait",
            event="report.generated",
            screening_id="s-never",
            candidate_id="c1",
            template_id="t1",
            since="2026-01-01T00:00:00Z",
            source="webhooks",
            poke_interval=7,
            timeout=200,
            deferrable=True,
        )
        with pytest.raises(TaskDeferred) as deferred:
            sensor.poke({})
        path, arguments = json.loads(json.dumps(deferred.value.trigger.serialize()))
        assert path == "pihupulse_provider.triggers.event_wait.EventWaitTrigger"
        assert EventWaitTrigger(**arguments).serialize()[1] == arguments
        assert arguments.pop("seconds") == 200
        assert arguments.pop("until") is None
        assert arguments == {
            "wanted": {
                "connection": "pihupulse_default",
                "events": ["report.generated"],
                "screening_id": "s-never",
                "candidate_id": "c1",
                "template_id": "t1",
                "since": datetime(2026, 1, 1, tzinfo=UTC).timestamp(),
            },
            "source": "webhooks",
            "poll_interval": 7.0,
            "pihupulse_conn_id": "pihupulse_default",
        }

    def test_polling_that_broke_off_does_not_lengthen_the_wait(self, pihupulse_sandbox):
        sensor = PihuPulseEventSensor(
            task_id="wait",
            event="report.generated",
            screening_id="s-never",
            since=None,
            source="polling",
            timeout=60,
            deferrable=True,
        )
        with pytest.raises(TaskDeferred) as deferred:
            sensor.resume({}, {"end": "error", "seconds": 5})
        assert deferred.value.trigger.seconds == 5
        assert deferred.value.timeout <= timedelta(minutes=2, seconds=5)

    def test_without_its_connection_it_does_not_begin_to_wait(self, wait, mode, capsys):
        run = wait(pihupulse_conn_id="missing", timeout=0.5, **mode)
        assert failed_with(run, AirflowNotFoundException, AirflowNotFoundException)
        assert "Waiting for" not in capsys.readouterr().out

    def test_a_time_that_is_none_fails_the_task(self, wait):
        assert failed_with(wait(since="yesterday"), ConfigurationError)

    def test_an_id_that_another_task_returned_as_a_whole_number_is_waited_for_as_text(self, pihupulse_sandbox):
        sensor = PihuPulseEventSensor(
            task_id="wait", event="screening.completed", screening_id=12345, since=None, deferrable=True
        )
        with pytest.raises(TaskDeferred) as deferred:
            sensor.poke({})
        assert deferred.value.trigger.wanted["screening_id"] == "12345"

    @pytest.mark.parametrize("empty", ["{{ ti.xcom_pull('skipped') }}", "{{ '' }}", "{{ ' ' }}"])
    @pytest.mark.parametrize("argument", ["screening_id", "candidate_id", "template_id", "since"])
    def test_what_a_template_left_empty_does_not_mean_any(self, wait, argument, empty, screening_id):
        receive(screening_id)
        (error,) = wait(timeout=0.5, **{"since": "2026-01-01", argument: empty}).errors["wait", -1]
        assert isinstance(error, ConfigurationError)
        assert str(error).startswith(f"{argument} came to nothing")

    def test_nor_does_what_another_task_did_not_return(self, dag_runs, pihupulse_sandbox, screening_id):
        receive(screening_id)
        waits = {"event": "screening.completed", "since": None, "timeout": 0.5, "poke_interval": 0.1}
        with dag_runs.dag() as dag:

            @task
            def ids():
                return [screening_id, None]

            @task
            def kwargs():
                return [{"screening_id": screening_id}, {"screening_id": None}]

            PihuPulseEventSensor.partial(task_id="expand", **waits).expand(screening_id=ids())
            PihuPulseEventSensor.partial(task_id="expand_kwargs", **waits).expand_kwargs(kwargs())
        run = dag_runs.run(dag)
        for name in ("expand", "expand_kwargs"):
            assert run.xcom(name, 0)["screening_id"] == screening_id
            (error,) = run.errors[name, 1]
            assert isinstance(error, ConfigurationError)
            assert str(error).startswith("screening_id came to nothing")

    def test_none_in_the_dag_means_any(self, dag_runs, pihupulse_sandbox, screening_id):
        receive(screening_id, candidate_id=f"c-{screening_id}")

        class Plain(PihuPulseEventSensor):
            template_fields = ("event",)

        waits = {"event": "screening.completed", "candidate_id": f"c-{screening_id}", "timeout": 0.5, "since": None}
        with dag_runs.dag() as dag:

            @task
            def given():
                return [{"candidate_id": f"c-{screening_id}"}]

            PihuPulseEventSensor(task_id="literal", screening_id=None, **waits)
            PihuPulseEventSensor.partial(task_id="expand", **waits).expand(screening_id=[None])
            PihuPulseEventSensor.partial(task_id="kwargs", event=waits["event"], since=None).expand_kwargs(given())
            Plain(task_id="plain", **waits)
        run = dag_runs.run(dag)
        found = [run.xcom("literal"), run.xcom("expand", 0), run.xcom("kwargs", 0), run.xcom("plain")]
        assert [one["screening_id"] for one in found] == [screening_id] * 4

    def test_an_empty_id_is_refused(self, pihupulse_sandbox):
        sensor = PihuPulseEventSensor(task_id="wait", event="screening.completed", screening_id="", since=None)
        with pytest.raises(ConfigurationError, match="screening_id is empty: it must be one id"):
            sensor.poke({})

    @pytest.mark.parametrize("value", [{"id": "s1"}, ["s1"], True, "s1\0", "s" * 256])
    def test_what_is_no_id_is_refused_in_a_sentence(self, pihupulse_sandbox, value):
        sensor = PihuPulseEventSensor(task_id="wait", event="screening.completed", screening_id=value, since=None)
        with pytest.raises(ConfigurationError, match=r"screening_id is a .* that is no id"):
            sensor.poke({})

    def test_an_event_that_does_not_exist_is_refused_when_the_dag_is_parsed(self):
        with pytest.raises(ConfigurationError, match=r"'screening\.complete'.*screening\.completed"):
            PihuPulseEventSensor(task_id="wait", event="screening.complete")

    def test_a_source_that_does_not_exist_too(self):
        with pytest.raises(ConfigurationError, match="source is 'poll': choose one of webhooks, polling"):
            PihuPulseEventSensor(task_id="wait", event="screening.completed", source="poll")

    def test_one_from_a_template_when_the_task_runs(self, wait):
        run = wait("{{ 'screening.complete' }}")
        assert failed_with(run, ConfigurationError)

    def test_a_new_one_can_be_waited_for_all_the_same(self, wait, screening_id):
        receive_later(0.5, screening_id, "screening.expired")
        run = wait("screening.expired", screening_id=screening_id, allow_unknown_event=True)
        assert run.state == "success"

    def test_1_0_0_told_when_a_wait_ends_that_polling_broke_off(self, pihupulse_sandbox):
        sensor = PihuPulseEventSensor(
            task_id="wait", event="report.generated", screening_id="s-never", since=None, timeout=60, deferrable=True
        )
        with pytest.raises(TaskDeferred) as deferred:
            sensor.resume({}, {"end": "error", "until": clock.now() + 5})
        assert 0 < deferred.value.trigger.seconds <= 5


class TestLimit:
    """Whoever ends a wait polls once more."""

    @pytest.mark.parametrize("resume", [FIRED, TIMED_OUT], ids=["trigger", "airflow"])
    def test_an_event_that_came_in_time_counts(self, pihupulse_sandbox, screening_id, resume):
        receive(screening_id)
        sensor = PihuPulseEventSensor(
            task_id="wait", event="screening.completed", screening_id=screening_id, since=None, deferrable=True
        )
        assert sensor.resume_execution(*resume, {})["screening_id"] == screening_id

    def last_looks(self, **options):
        return PihuPulseEventSensor(
            task_id="wait",
            event="screening.completed",
            since=None,
            source="polling",
            poke_interval=3600,
            timeout=0,
            **options,
        )

    @pytest.mark.parametrize("mode", ["poke", "reschedule"])
    def test_a_sensor_that_pokes_polls_at_its_limit_whoever_polled_before(self, pihupulse_sandbox, pending, mode):
        sensor = self.last_looks(screening_id=pending, mode=mode)
        poller(sensor.hook).poll(["screening.completed"])
        pihupulse_sandbox.complete(pending, score := next(numbers))
        assert sensor.execute({"ti": FirstTry()})["score"] == score

    @pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
    def test_if_that_shows_nothing_it_times_out(self, pihupulse_sandbox, pending, soft_fail, error):
        sensor = self.last_looks(screening_id=pending, soft_fail=soft_fail)
        with pytest.raises(error, match=r"No screening\.completed of screening"):
            sensor.execute({})

    def test_else_it_times_out(self, pihupulse_sandbox):
        sensor = PihuPulseEventSensor(
            task_id="wait", event="screening.completed", screening_id="s-never", since=None, timeout=2_592_000
        )
        with pytest.raises(AirflowSensorTimeout, match="within 30 days"):
            sensor.resume_execution(*TIMED_OUT, {})


def test_what_another_store_has_in_the_place_of_the_event_is_not_returned(pihupulse_sandbox, screening_id):
    receive(screening_id, "screening.started")
    position = Inbox(settings.store()).head()
    sensor = PihuPulseEventSensor(task_id="wait", event="screening.completed", screening_id=screening_id, since=None)
    with pytest.raises(PihuPulseError, match="is not in the inbox any more"):
        sensor.resume_execution("resume", {"event": {"position": position}}, {})


class TestLog:
    def poke(self, **options):
        sensor = PihuPulseEventSensor(
            task_id="wait", event="report.generated", screening_id="s-never", since=None, timeout=2_592_000, **options
        )
        sensor.poke({})
        sensor.poke({})

    def test_it_says_once_what_it_waits_for(self, pihupulse_sandbox, capsys):
        self.poke()
        said = capsys.readouterr().out
        assert said.count("Waiting for report.generated of screening s-never, received at any time") == 1
        assert "after 30 days" in said

    def test_it_does_not_say_what_can_not_be_an_id(self, pihupulse_sandbox, capsys):
        self.poke(candidate_id="ana.costa@example.com")
        said = capsys.readouterr().out
        assert "of screening s-never and candidate (a text of 21 characters), received" in said
        assert "ana.costa" not in said

    def test_it_warns_if_no_webhook_is_received_for_its_connection(self, pihupulse_sandbox, capsys):
        self.poke()
        assert capsys.readouterr().out.count("webhook_connections does not name pihupulse_default") == 1

    def test_it_warns_if_none_was_ever_received(self, pihupulse_sandbox, capsys, monkeypatch):
        monkeypatch.setenv("AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS", "pihupulse_default")
        self.poke()
        assert capsys.readouterr().out.count("No webhook was received for pihupulse_default so far") == 1
        receive("s-other")
        self.poke()
        assert "No webhook was received" not in capsys.readouterr().out

    def test_polling_needs_no_receiver(self, pihupulse_sandbox, capsys):
        self.poke(source="polling")
        said = capsys.readouterr().out
        assert "lists are polled every 1 minute" in said
        assert "warning" not in said
