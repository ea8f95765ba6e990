"""DAGs that webhooks start and wake; polling would take an hour to see anything."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher, dag

from pihupulse_provider.operators.events import PihuPulseReadEventsOperator
from pihupulse_provider.sensors.event import PihuPulseEventSensor
from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor
from pihupulse_provider.triggers.event import PihuPulseEventTrigger

EVENTS = ["screening.completed"]
WATCHER = AssetWatcher(name="completed", trigger=PihuPulseEventTrigger(events=EVENTS, consumer="integration"))


# Airflow looks for new watchers when it reads the file: unpaused later, the DAG would wait for the next time.
@dag(schedule=[Asset("completed_screenings", watchers=[WATCHER])], max_active_runs=1, is_paused_upon_creation=False)
def started_by_webhooks():
    PihuPulseReadEventsOperator(task_id="read_events", consumer="started_by_webhooks", events=EVENTS)


started_by_webhooks()


@dag(schedule=None)
def waiting_for_webhooks():
    waiting = {"deferrable": True, "poke_interval": 3600, "timeout": 600}
    PihuPulseScreeningSensor(task_id="wait_for_screening", screening_ids=["{{ dag_run.conf['ids'][0] }}"], **waiting)
    PihuPulseEventSensor(
        task_id="wait_for_event",
        event="screening.completed",
        screening_id="{{ dag_run.conf['ids'][0] }}",
        **waiting,
    )


waiting_for_webhooks()
