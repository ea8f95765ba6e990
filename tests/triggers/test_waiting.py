"""Waiting from any operator."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, BaseOperator, TaskDeferred

from pihupulse_provider.api import clock
from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.triggers.waiting import ScreeningFailedError, begin_wait, resume_wait, wait_here
from pihupulse_provider.waiting.wait_spec import WaitSpec
from pihupulse_provider.waiting.wait_state import ScreeningSnapshot, pack


@pytest.fixture
def operator():
    return BaseOperator(task_id="screen")


@pytest.fixture
def client(pihupulse_sandbox):
    hook = PihuPulseHook()
    yield hook.get_conn()
    hook.get_conn().close()


@pytest.fixture
def screening(pihupulse_sandbox):
    [screening_id] = pihupulse_sandbox.insert_screenings(pihupulse_sandbox.insert_candidates(1))
    pihupulse_sandbox.put(screening_id, "pending")
    return screening_id


def spec_for(screening_id, **options):
    return WaitSpec({screening_id: None}, clock.now(), **{"timeout": 600.0, **options})


class TestWaitHere:
    def test_it_polls_once_an_interval_until_it_is_over(self, client, screening, operator, pihupulse_sandbox):
        pauses = []

        def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) == 3:
                pihupulse_sandbox.complete(screening, 80)

        [seen] = wait_here(client, spec_for(screening, interval=30.0), operator.log, sleep)
        assert seen.score == 80
        assert pauses == [30.0] * 3

    def test_it_ends_at_its_timeout(self, client, screening, operator):
        with pytest.raises(AirflowSensorTimeout, match="0 of 1 screening completed"):
            wait_here(client, spec_for(screening, timeout=0.01), operator.log)

    def test_it_fails_with_the_screening(self, client, screening, operator, pihupulse_sandbox):
        pihupulse_sandbox.put(screening, "expired")
        with pytest.raises(ScreeningFailedError, match=r"\(expired\)"):
            wait_here(client, spec_for(screening), operator.log)


class TestBeginAndResume:
    def test_a_wait_that_is_over_already_is_not_deferred(self, client, screening, operator, pihupulse_sandbox):
        pihupulse_sandbox.complete(screening, 80)
        [seen] = begin_wait(operator, client, "pihupulse_default", spec_for(screening), "resume")
        assert seen.score == 80

    def test_any_other_is_with_airflow_s_own_limit_as_a_backstop(self, client, screening, operator):
        with pytest.raises(TaskDeferred) as deferred:
            begin_wait(operator, client, "pihupulse_default", spec_for(screening), "resume")
        assert deferred.value.method_name == "resume"
        assert 600 < deferred.value.timeout.total_seconds() < 900

    def test_the_log_says_when_the_next_poll_is(self, client, screening, operator, capsys):
        with pytest.raises(TaskDeferred):
            begin_wait(operator, client, "pihupulse_default", spec_for(screening), "resume")
        assert "0 of 1 screening completed, 0 failed, 1 waiting. The next poll is at " in capsys.readouterr().out

    def test_it_resumes_with_what_the_trigger_saw(self, client, operator):
        event = {
            "end": "decided",
            "seen": pack([ScreeningSnapshot("s1", "c1", "completed", 70)]),
            "started_at": 1.0,
        }
        spec = WaitSpec({}, 0.0)
        [seen] = resume_wait(operator, client, "pihupulse_default", spec, method_name="resume", event=event)
        assert seen.score == 70

    def test_it_polls_itself_when_the_trigger_could_not(self, client, screening, operator):
        event = {"end": "error", "seen": pack([ScreeningSnapshot(screening)]), "started_at": clock.now()}
        with pytest.raises(TaskDeferred):
            resume_wait(operator, client, "pihupulse_default", WaitSpec({}, 0.0), method_name="resume", event=event)
