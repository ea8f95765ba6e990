"""What the fleet does: import in chunks on both workers, screen, wait in both ways, and drain events."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import Asset, AssetWatcher, dag, task

from pihupulse_provider.operators.candidates import PihuPulseImportCandidatesOperator
from pihupulse_provider.operators.events import PihuPulseReadEventsOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningsOperator
from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor
from pihupulse_provider.triggers.event import PihuPulseEventTrigger

FOLDER = Path(os.environ["FLEET_FOLDER"])
"""Of all runs; each run has one of its own in it."""
SCREENINGS = int(os.environ["FLEET_SCREENINGS"])
SINGLE_WAITS = max(1, SCREENINGS // 10)
EVENTS = ["screening.completed"]
WATCHER = AssetWatcher(name="fleet", trigger=PihuPulseEventTrigger(events=EVENTS, consumer="fleet"))
RETRIES = {"retries": 20, "retry_delay": timedelta(seconds=3)}
OWN = "{{ params.folder }}"
WAIT = {"deferrable": True, "poke_interval": 10, "timeout": 900}


@dag(schedule=None, default_args=RETRIES, params={"folder": str(FOLDER)})
def fleet():
    @task
    def chunks(params: dict) -> list[str]:
        return sorted(map(str, Path(params["folder"]).glob("chunk-*.csv")))

    imported = PihuPulseImportCandidatesOperator.partial(
        task_id="import_candidates", results_path=f"{OWN}/candidates-{{{{ ti.map_index }}}}.jsonl"
    ).expand(source=chunks())

    @task
    def choose(params: dict) -> list[str]:
        paths = sorted(Path(params["folder"]).glob("candidates-*.jsonl"))
        lines = (line for path in paths for line in path.read_text().splitlines())
        return [json.loads(line)["id"] for line in lines][:SCREENINGS]

    chosen = choose()
    created = PihuPulseCreateScreeningsOperator(
        task_id="create_screenings",
        candidate_ids=chosen,
        template_id="t54321",
        send_invitation=True,
        results_path=f"{OWN}/screenings.jsonl",
    )

    @task
    def choose_waits(params: dict) -> list[list[str]]:
        lines = Path(params["folder"], "screenings.jsonl").read_text().splitlines()[:SINGLE_WAITS]
        return [[json.loads(line)["id"]] for line in lines]

    waits = choose_waits()
    imported >> chosen
    created >> waits
    PihuPulseScreeningSensor(task_id="wait_for_all", screening_ids=created.output["results_path"], **WAIT)
    PihuPulseScreeningSensor.partial(task_id="wait_for_one", **WAIT).expand(screening_ids=waits)


fleet()


@dag(
    schedule=[Asset("fleet_completed", watchers=[WATCHER])],
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args=RETRIES,
)
def drain():
    read = PihuPulseReadEventsOperator(task_id="read_events", consumer="drain", events=EVENTS)

    @task
    def note(events: list[dict], run_id: str) -> None:
        name = "".join(letter if letter.isalnum() else "-" for letter in run_id)
        (FOLDER / f"drained-{name}.json").write_text(json.dumps([event["screening_id"] for event in events]))

    note(read.output)


drain()
