"""Seconds from a delivery to its task and to a sensor's end: ``python -m tests.benchmarks.delivery``.

On a real Airflow. ``--idle-sleep`` is Airflow's ``[scheduler] scheduler_idle_sleep_time``, for which an idle scheduler
does not look.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from pihupulse_provider.sandbox import Sandbox
from tests.benchmarks.results import record
from tests.integration.airflow import Airflow
from tests.integration.conftest import SETTINGS

DAG = "started_by_webhooks"
STAGES = ("asset event", "DAG run", "task queued", "task running")
WAITING = "waiting_for_webhooks"
SENSORS = ("wait_for_screening", "wait_for_event")
SETTLED_SECONDS = 10
"""How long a task has been deferred before its event comes: what comes at once is held back for the executor's sake."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=20)
    parser.add_argument("--waits", type=int, default=5)
    parser.add_argument("--idle-sleep", default="1.0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, Sandbox(plan="enterprise", start_seconds=1e9) as sandbox:
        dags = Path(home, "dags")
        shutil.copytree(Path(__file__).parents[1] / "integration" / "dags", dags)
        env = {
            **SETTINGS,
            "AIRFLOW_CONN_PIHUPULSE_DEFAULT": sandbox.connection_json,
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": options.idle_sleep,
        }
        with Airflow(Path(home, "airflow"), dags, env) as airflow:
            sandbox.send_webhooks_to(f"{airflow.url}/pihupulse/webhooks/pihupulse_default")
            airflow.wait_until(lambda: airflow.get("/dags", dag_id_pattern=DAG)["dags"], 90, f"{DAG} is known")
            measured = [_deliver(airflow, sandbox) for _ in range(options.deliveries + 1)][1:]
            waited = [_end_waits(airflow, sandbox) for _ in range(options.waits + 1)][1:]
    print(f"{'seconds until':20}{'median':>8}{'least':>8}{'most':>8}")
    for stage, *seconds in (*zip(STAGES, *measured, strict=True), *zip(SENSORS, *waited, strict=True)):
        median, least, most = statistics.median(seconds), min(seconds), max(seconds)
        print(f"{stage:20}{median:8.2f}{least:8.2f}{most:8.2f}")
        record("From the delivery", stage, median_seconds=median, least=least, most=most)


def _deliver(airflow: Airflow, sandbox: Sandbox) -> list[float]:
    """Complete a screening, and return after how many seconds each stage was reached."""
    (screening,) = sandbox.insert_screenings(sandbox.insert_candidates(1))
    before = {run["dag_run_id"] for run in _runs(airflow)}
    time.sleep(2 + random.random())  # so that deliveries fall anywhere between two looks of Airflow
    sandbox.complete(screening, 90)
    airflow.wait_until(lambda: len(_runs(airflow)) > len(before), 60, "a run was started")
    (run,) = (run for run in _runs(airflow) if run["dag_run_id"] not in before)
    airflow.wait_for_success(DAG, run["dag_run_id"])
    (task,) = (one for one in airflow.task_instances(DAG, run["dag_run_id"]) if one["task_id"] == "read_events")
    delivered = _time(airflow.xcom(DAG, run["dag_run_id"], "read_events")[-1]["received_at"])
    (event,) = airflow.get(f"/dags/{DAG}/dagRuns/{run['dag_run_id']}/upstreamAssetEvents")["asset_events"]
    reached = (event["timestamp"], run["queued_at"], task["queued_when"], task["start_date"])
    return [_time(moment) - delivered for moment in reached]


def _end_waits(airflow: Airflow, sandbox: Sandbox) -> list[float]:
    """Complete a screening that deferred sensors wait for, and return after how many seconds each has ended."""
    (screening,) = sandbox.insert_screenings(sandbox.insert_candidates(1))
    run = airflow.trigger(WAITING, {"ids": [screening]})
    airflow.wait_until(
        lambda: all(airflow.task_state(WAITING, run, sensor) == "deferred" for sensor in SENSORS), 120, "both wait"
    )
    time.sleep(SETTLED_SECONDS + random.random())
    completed = time.time()
    sandbox.complete(screening, 90)
    airflow.wait_for_success(WAITING, run)
    ends = {one["task_id"]: _time(one["end_date"]) for one in airflow.task_instances(WAITING, run)}
    return [ends[sensor] - completed for sensor in SENSORS]


def _runs(airflow: Airflow) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = airflow.get(f"/dags/{DAG}/dagRuns", order_by="run_after", limit=1000)["dag_runs"]
    return runs


def _time(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


if __name__ == "__main__":
    main()
