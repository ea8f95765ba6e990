"""DAGs that wait in a triggerer."""

from __future__ import annotations

from airflow.sdk import Param, dag, task

from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor

DEFERRED = {"deferrable": True, "poke_interval": 1}
IDS = {"ids": Param([], type="array")}


@dag(schedule=None, params=IDS, max_active_tasks=8)
def wait_for_each():
    @task
    def ids(params):
        return params["ids"]

    PihuPulseScreeningSensor.partial(task_id="wait", timeout=900, **DEFERRED).expand(screening_ids=ids())


@dag(schedule=None, params=IDS, render_template_as_native_obj=True)
def wait_for_all():
    PihuPulseScreeningSensor(task_id="wait", screening_ids="{{ params.ids }}", timeout=900, retries=1, **DEFERRED)


@dag(schedule=None, params=IDS, render_template_as_native_obj=True)
def wait_briefly():
    brief = {"screening_ids": "{{ params.ids }}", "timeout": 5, "retries": 2, **DEFERRED}
    PihuPulseScreeningSensor(task_id="fail", **brief)
    PihuPulseScreeningSensor(task_id="skip", soft_fail=True, **brief)


wait_for_each()
wait_for_all()
wait_briefly()
