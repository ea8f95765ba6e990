"""Run as soon as screenings are completed, and shortlist the candidates among all that came since the last run."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher, Param, dag, task

from pihupulse_provider.operators.events import PihuPulseReadEventsOperator
from pihupulse_provider.triggers.event import PihuPulseEventTrigger

EVENTS = ["screening.completed"]
WATCHER = AssetWatcher(name="pihupulse_webhooks", trigger=PihuPulseEventTrigger(events=EVENTS))


@dag(
    doc_md=__doc__,
    schedule=[Asset("pihupulse_completed_screenings", watchers=[WATCHER])],
    max_active_runs=1,
    params={"least_score": Param(80, type="integer", description="The least score of the shortlist")},
    tags=["pihupulse"],
)
def on_completed_screenings():
    # One run may stand for many events: it reads them itself, from where the last run stopped.
    read = PihuPulseReadEventsOperator(task_id="read_events", consumer="on_completed_screenings", events=EVENTS)

    @task
    def shortlist(events: list[dict], params: dict) -> list[str]:
        return [event["candidate_id"] for event in events if (event["score"] or 0) >= params["least_score"]]

    shortlist(read.output)


on_completed_screenings()
