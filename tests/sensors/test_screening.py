"""The screening sensor, poking, rescheduling and deferring alike."""

from __future__ import annotations

import json
import threading
import time

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS
from airflow.sdk import task

from pihupulse_provider.api import ConfigurationError, UnauthorizedError, clock
from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor
from pihupulse_provider.triggers.waiting import ScreeningFailedError
from pihupulse_provider.waiting.wait_spec import WaitSpec
from pihupulse_provider.waiting.wait_state import WaitState

MODES = {"poke": {}, "reschedule": {"mode": "reschedule"}, "deferred": {"deferrable": True}}
TIMED_MODES = [mode for mode in MODES if AIRFLOW_V_3_1_PLUS or mode != "reschedule"]
"""Airflow 3.0 fails to sum up the time of a rescheduled sensor in dag.test()."""


@pytest.fixture(params=MODES, ids=str)
def mode(request):
    return MODES[request.param]


@pytest.fixture(params=TIMED_MODES, ids=str)
def timed_mode(request):
    return MODES[request.param]


@pytest.fixture
def screenings(pihupulse_sandbox):
    """Put in screenings that end within a fifth of a second; or have, or never will."""

    def add(count, status=None):
        ids = pihupulse_sandbox.insert_screenings(pihupulse_sandbox.insert_candidates(count))
        if status is not None:
            for one in ids:
                pihupulse_sandbox.put(one, status)
        return ids

    return add


@pytest.fixture
def wait(dag_runs):
    """Run a DAG of one sensor."""

    def run(screening_ids, **options):
        with dag_runs.dag(retries=1) as dag:
            PihuPulseScreeningSensor(
                task_id="wait", screening_ids=screening_ids, **{"poke_interval": 0.2, "timeout": 20, **options}
            )
        return dag_runs.run(dag)

    return run


def failed_with(run, *kinds):
    """Return whether each of its tries failed with such an error; Airflow 3.0 names no error of a last try."""
    errors = run.errors.get(("wait", -1), [])
    fits = all(error is None or isinstance(error, kind) for error, kind in zip(errors, kinds, strict=False))
    return run.states("wait") == ["failed"] and len(errors) == len(kinds) and fits


@pytest.mark.parametrize("wait_for", ["most", 1.5, 0, -1, True, None])
def test_a_goal_that_is_none_is_refused_when_the_dag_is_parsed(wait_for):
    with pytest.raises(ConfigurationError, match="wait_for is"):
        PihuPulseScreeningSensor(task_id="wait", screening_ids=["s1"], wait_for=wait_for)


class TestEveryMode:
    def test_without_its_connection_it_does_not_begin_to_wait(self, wait, mode, capsys):
        run = wait(["s1"], pihupulse_conn_id="missing", timeout=0.5, **mode)
        assert failed_with(run, AirflowNotFoundException, AirflowNotFoundException)
        assert "Waiting since" not in capsys.readouterr().out

    def test_it_returns_what_came_of_each_in_the_order_given(self, wait, mode, screenings, pihupulse_sandbox):
        ids = screenings(3)[::-1]
        run = wait(ids, **mode)
        assert run.state == "success"
        outcomes = run.xcom("wait")
        assert [outcome["screening_id"] for outcome in outcomes] == ids
        known = {row["id"]: row for row in pihupulse_sandbox.screenings}
        for outcome in outcomes:
            row = known[outcome["screening_id"]]
            assert outcome == {
                "screening_id": row["id"],
                "candidate_id": row["candidate_id"],
                "status": "completed",
                "score": row["score"],
                "completed_at": row["completed_at"],
            }

    def test_any_ends_with_the_first_and_shows_the_others_as_they_are(self, wait, mode, screenings):
        waiting = screenings(2, "pending")
        outcomes = wait(waiting + screenings(1), wait_for="any", **mode).xcom("wait")
        assert [outcome["status"] for outcome in outcomes] == ["pending", "pending", "completed"]

    def test_a_failed_screening_fails_it_without_a_retry(self, wait, mode, screenings):
        failed = screenings(1, "Declined")
        assert failed_with(wait(failed + screenings(1), **mode), ScreeningFailedError)

    def test_a_failed_screening_skips_it_with_soft_fail(self, wait, mode, screenings):
        assert wait(screenings(1, "failed"), soft_fail=True, **mode).states("wait") == ["skipped"]

    def test_it_times_out_without_a_retry(self, wait, timed_mode, screenings):
        assert failed_with(wait(screenings(1, "pending"), timeout=0.5, **timed_mode), AirflowSensorTimeout)

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_one_that_timed_out_is_shown_no_more(self, wait, timed_mode, screenings, soft_fail):
        run = wait(screenings(1, "pending"), timeout=0.5, soft_fail=soft_fail, **timed_mode)
        assert run.states("wait") == ["skipped" if soft_fail else "failed"]
        assert run.shown() == []

    def test_one_that_failed_is_shown_no_more(self, wait, mode, screenings, pihupulse_sandbox):
        ids = screenings(1, "pending")
        threading.Timer(1.5, pihupulse_sandbox.put, [ids[0], "declined"]).start()
        run = wait(ids, **mode)
        assert failed_with(run, ScreeningFailedError)
        assert run.shown() == []

    def test_a_timeout_skips_it_with_soft_fail(self, wait, timed_mode, screenings):
        assert wait(screenings(1, "pending"), timeout=0.5, soft_fail=True, **timed_mode).states("wait") == ["skipped"]

    def test_at_its_deadline_it_returns_what_there_is(self, wait, timed_mode, screenings):
        ids = screenings(1) + screenings(1, "pending") + screenings(1, "failed")
        run = wait(ids, deadline=1.0, **timed_mode)
        assert run.state == "success"
        assert [outcome["status"] for outcome in run.xcom("wait")] == ["completed", "pending", "failed"]

    def test_a_deadline_before_the_second_poll_comes_with_one_more_poll(self, wait, mode, screenings):
        """The screenings are completed within a fifth of a second; the first poll sees none of it."""
        run = wait(screenings(3), deadline=1, poke_interval=3, timeout=60, **mode)
        assert [outcome["status"] for outcome in run.xcom("wait")] == ["completed"] * 3

    def test_with_a_deadline_it_ends_as_soon_as_nothing_waits(self, wait, mode, screenings):
        started = time.monotonic()
        run = wait(screenings(2, "completed") + screenings(1, "failed"), deadline=15, **mode)
        assert run.state == "success"
        assert time.monotonic() - started < 10

    def test_other_statuses_can_be_ends(self, wait, mode, screenings):
        ids = screenings(1, "Reviewed") + screenings(1, "completed")
        run = wait(ids, succeeded_statuses=["reviewed", "completed"], failed_statuses=["no_show"], **mode)
        assert run.state == "success"

    def test_a_wrong_key_fails_at_once(self, wait, mode, screenings, monkeypatch, pihupulse_sandbox):
        connection = {**json.loads(pihupulse_sandbox.connection_json), "password": "wrong"}
        monkeypatch.setenv("AIRFLOW_CONN_WRONG", json.dumps(connection))
        run = wait(screenings(1), pihupulse_conn_id="wrong", **mode)
        assert failed_with(run, UnauthorizedError)

    def test_many_go_to_a_file_and_the_xcom_says_where(self, wait, mode, screenings, tmp_path):
        ids = screenings(150, "completed") + screenings(1, "declined")
        path = f"file://{tmp_path}/results/outcomes.jsonl"
        run = wait(ids, wait_for=0.99, results_path=path, **mode)
        assert run.xcom("wait") == {
            "results_path": path,
            "screenings": 151,
            "statuses": {"completed": 150, "declined": 1},
        }
        rows = [json.loads(line) for line in (tmp_path / "results" / "outcomes.jsonl").read_text().splitlines()]
        assert [row["screening_id"] for row in rows] == ids

    def test_a_screening_that_is_already_over_takes_no_waiting(self, wait, mode, screenings, pihupulse_sandbox):
        assert wait(screenings(1, "completed"), poke_interval=60, **mode).state == "success"
        assert pihupulse_sandbox.count() <= 2


def test_the_error_names_the_failed_screenings_and_their_statuses(screenings):
    [failed] = screenings(1, "Declined")
    sensor = PihuPulseScreeningSensor(task_id="wait", screening_ids=[failed, *screenings(1)])
    with pytest.raises(ScreeningFailedError, match=rf"{failed} \(Declined\)") as raised:
        sensor.poke({})
    assert raised.value.statuses == {failed: "Declined"}


def test_ids_that_no_screening_has_are_told_as_perhaps_those_of_candidates(screenings, pihupulse_sandbox):
    [candidate_id] = pihupulse_sandbox.insert_candidates(1)
    sensor = PihuPulseScreeningSensor(task_id="wait", screening_ids=candidate_id, timeout=120)
    with pytest.raises(ScreeningFailedError, match=rf"{candidate_id} \(not_found\)\. The account has no .* not a cand"):
        sensor.end_at_limit({})
    declined = PihuPulseScreeningSensor(task_id="wait", screening_ids=screenings(1, "declined"), timeout=120)
    with pytest.raises(ScreeningFailedError, match=r"\(declined\)\.$"):
        declined.end_at_limit({})


class TestScreeningIds:
    @pytest.mark.parametrize("argument", ["screening_ids", "candidate_ids"])
    def test_what_is_no_list_of_ids_is_a_sentence(self, pihupulse_sandbox, argument):
        sensor = PihuPulseScreeningSensor(task_id="wait", **{"screening_ids": "s1", argument: 5.5})
        with pytest.raises(ConfigurationError, match=f"{argument} is or holds a float, that is no id"):
            sensor.poke({})

    @pytest.mark.parametrize("argument", ["screening_ids", "candidate_ids"])
    def test_a_data_frame_is_no_list_of_the_ids_that_its_columns_have(self, pihupulse_sandbox, argument):
        class DataFrame(list):
            columns = ("id", "status")

        sensor = PihuPulseScreeningSensor(task_id="wait", **{"screening_ids": ["s1"], argument: DataFrame(["id"])})
        with pytest.raises(ConfigurationError, match=f"{argument} is or holds a DataFrame, that is no id"):
            sensor.poke({})

    @pytest.mark.parametrize("argument", ["screening_ids", "candidate_ids"])
    def test_nothing_is_said_to_be_so(self, pihupulse_sandbox, argument):
        sensor = PihuPulseScreeningSensor(task_id="wait", **{"screening_ids": ["s1"], argument: [None]})
        with pytest.raises(ConfigurationError, match=f"{argument} is or holds None, as from a task that returned"):
            sensor.poke({})

    @pytest.mark.parametrize("argument", ["failed_statuses", "succeeded_statuses"])
    def test_statuses_that_a_template_left_empty_do_not_mean_that_there_are_none(self, wait, screenings, argument):
        (error,) = wait(screenings(1, "failed"), **{argument: "{{ ti.xcom_pull('skipped') }}"}).errors["wait", -1]
        assert str(error).startswith(f"{argument} came to nothing")

    def test_they_come_from_other_tasks(self, dag_runs, screenings, tmp_path):
        ids = screenings(4, "completed")
        results = tmp_path / "screenings.jsonl"
        results.write_text("".join(json.dumps({"row": 1, "status": "created", "id": one}) + "\n" for one in ids))
        with dag_runs.dag() as dag:

            @task(multiple_outputs=True)
            def create(number):
                return {"id": ids[number], "status": "pending"}

            @task(multiple_outputs=True)
            def create_many():
                return {"results_path": f"file://{results}"}

            one, mapped, many = create(0), create.expand(number=[1, 2]), create_many()
            sources = {
                "whole": one,
                "id": one["id"],
                "mapped": mapped,
                "bulk": many,
                "path": many["results_path"],
                "text": "{{ ti.xcom_pull('create')['id'] }}",
            }
            for name, source in sources.items():
                waits = PihuPulseScreeningSensor(task_id=name, screening_ids=source, timeout=5)
                if name == "text":
                    one >> waits
        run = dag_runs.run(dag)
        seen = {name: [outcome["screening_id"] for outcome in run.xcom(name)] for name in sources}
        assert seen["whole"] == seen["id"] == seen["text"] == ids[:1]
        assert seen["mapped"] == ids[1:3]
        assert seen["bulk"] == seen["path"] == ids

    def test_a_mapped_sensor_waits_for_one_each(self, dag_runs, screenings):
        ids = screenings(3, "completed")
        with dag_runs.dag() as dag:
            PihuPulseScreeningSensor.partial(task_id="wait", timeout=5).expand(screening_ids=ids)
        run = dag_runs.run(dag)
        assert [run.xcom("wait", number)[0]["screening_id"] for number in range(3)] == ids

    def test_candidates_make_looking_cheap(self, wait, screenings, pihupulse_sandbox):
        screenings(2_000, "pending")
        [one] = screenings(1, "completed")
        owner = pihupulse_sandbox.screenings[-1]["candidate_id"]
        assert wait(one, candidate_ids=owner).state == "success"
        assert pihupulse_sandbox.count() == pihupulse_sandbox.count("GET /candidates/:id") == 1

    def test_none_at_all_is_all_of_them(self, wait, pihupulse_sandbox):
        assert wait([]).xcom("wait") == []


class TestArguments:
    def test_templates_may_give_numbers_as_text(self, wait, screenings):
        ids = screenings(1, "completed") + screenings(1, "pending")
        assert wait(ids, wait_for="{{ 0.5 }}", failed_statuses=["{{ 'failed' }}"]).state == "success"

    def test_a_deadline_after_the_timeout_is_refused_when_the_dag_is_read(self):
        with pytest.raises(ConfigurationError, match="deadline"):
            PihuPulseScreeningSensor(task_id="wait", screening_ids="s1", timeout=60, deadline=3600)

    def test_a_goal_that_makes_no_sense_fails_the_task(self, wait, screenings):
        assert failed_with(wait(screenings(1), wait_for="{{ 'most' }}"), ConfigurationError)

    def test_none_is_lost_on_the_way_into_the_trigger(self, screenings, pihupulse_sandbox):
        ids = screenings(2, "pending")
        sensor = PihuPulseScreeningSensor(
            task_id="wait",
            screening_ids=ids,
            wait_for=0.5,
            succeeded_statuses=["reviewed"],
            failed_statuses=["no_show"],
            deadline=100,
            poke_interval=7,
            timeout=200,
            exponential_backoff=True,
            max_wait=90,
            deferrable=True,
        )
        with pytest.raises(TaskDeferred) as deferred:
            sensor.poke({})
        trigger = deferred.value.trigger
        spec = WaitState.load(trigger.terms, clock.now()).spec
        assert trigger.pihupulse_conn_id == "pihupulse_default"
        assert clock.now() - 60 < spec.started_at <= clock.now()
        assert spec == WaitSpec(
            screenings={one["id"]: one["candidate_id"] for one in pihupulse_sandbox.screenings},
            started_at=spec.started_at,
            wait_for=0.5,
            succeeded_statuses=("reviewed",),
            failed_statuses=("no_show",),
            interval=7.0,
            exponential_backoff=True,
            max_wait=90.0,
            timeout=200.0,
            deadline=100.0,
        )


class TestWithoutATriggerer:
    """Airflow itself ends a deferral that takes too long."""

    TIMED_OUT = ("__fail__", {"error": "Trigger timeout"})

    def test_a_deadline_returns_what_there_is(self, screenings):
        ids = screenings(1, "completed") + screenings(1, "pending")
        sensor = PihuPulseScreeningSensor(task_id="wait", screening_ids=ids, deadline=60, deferrable=True)
        outcomes = sensor.resume_execution(*self.TIMED_OUT, {})
        assert [outcome["status"] for outcome in outcomes] == ["completed", "pending"]

    def test_what_was_completed_in_time_succeeds_although_the_timeout_is_over(self, screenings):
        sensor = PihuPulseScreeningSensor(task_id="wait", screening_ids=screenings(3, "completed"), deferrable=True)
        assert len(sensor.resume_execution(*self.TIMED_OUT, {})) == 3

    def test_the_rest_times_out(self, screenings):
        sensor = PihuPulseScreeningSensor(
            task_id="wait", screening_ids=screenings(1, "pending"), deferrable=True, timeout=86400
        )
        with pytest.raises(AirflowSensorTimeout, match=r"0 of 1 screening completed.* at the timeout of 1 day"):
            sensor.resume_execution(*self.TIMED_OUT, {})

    def test_soft_fail_skips_it(self, screenings):
        sensor = PihuPulseScreeningSensor(
            task_id="wait", screening_ids=screenings(1, "pending"), deferrable=True, soft_fail=True
        )
        with pytest.raises(AirflowSkipException):
            sensor.resume_execution(*self.TIMED_OUT, {})


def test_the_log_says_at_once_what_is_waited_for_and_when_it_looks_next(screenings, capsys):
    [one] = screenings(1, "pending")
    sensor = PihuPulseScreeningSensor(task_id="wait", screening_ids=one, poke_interval=60, timeout=86400)
    sensor.poke({})
    sensor.poke({})
    said = capsys.readouterr().out
    assert said.count("for 1 screening to be completed. Polled every 1 minute. It times out at ") == 1
    assert said.count(f"Waited for: {one}.") == 1
    assert said.count("0 of 1 screening completed, 0 failed, 1 waiting. The next poll is at ") == 1
