"""The example DAGs as a newcomer gets them: copied into the DAGs folder, with the database that two of them ask for."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from pihupulse_provider.sandbox import Sandbox
from tests.integration.airflow import Airflow

FOLDER = Path(__file__).parents[2] / "dags_examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
OUTPUT = "/tmp/pihupulse"
"""Where the examples write by default."""
BY_IMPORT = "screen_new_imports"
"""It is started by the imports of the others, too."""
SETTLED = 8.0
"""Seconds after which a screening is completed, and a person approves. What wakes a task as soon as it has deferred
overtakes the executor's note of that on a busy machine, and Airflow fails the task."""
AIRFLOWS_OWN = (
    "Server indicated the task shouldn't be running anymore",
    "Successfully emitted OpenLineage `COMPLETE` event",
)
"""What the log says of a task that waited or succeeded, and that Airflow failed all the same: its SQLite was locked for
five seconds, or the task was resumed before the executor had noted that it waits."""
_APPLICANTS = [
    ("Ada", "Lovelace", "ada.lovelace@example.com", "2026-01-05"),
    ("Grace", "Hopper", "grace.hopper@example.com", "2026-01-06"),
    ("Alan", "Turing", "alan.turing@example.com", "2026-01-07"),
]


def copy_examples(dags: Path, output: Path) -> None:
    """Copy the examples and their file of candidates, and let them write to a folder of their own."""
    shutil.copytree(FOLDER, dags, ignore=shutil.ignore_patterns("__pycache__"))
    for path in dags.glob("*.py"):
        path.write_text(path.read_text("utf-8").replace(OUTPUT, str(output)), "utf-8")


def make_warehouse(path: Path) -> str:
    """Make a SQLite database with applicants; return the JSON of a connection to it."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE applicants (first_name, last_name, mail, applied_at)")
        database.executemany("INSERT INTO applicants VALUES (?, ?, ?, ?)", _APPLICANTS)
    return json.dumps({"conn_type": "sqlite", "host": str(path)})


class ExampleRuns:
    """A run of each example with its defaults, and those that these bring about.

    :ivar triggered: the id of the run that each example was triggered for, by its name.
    :ivar ended: all runs of each example when the last had ended, as the REST API shows them.
    """

    def __init__(self, airflow: Airflow, sandbox: Sandbox) -> None:
        self.triggered: dict[str, str] = {}
        self.ended: dict[str, list[dict[str, Any]]] = {}
        self._airflow, self._sandbox = airflow, sandbox
        self._seen: dict[str, float] = {}
        self._approved = False
        self._cleared: set[str] = set()

    def run(self) -> ExampleRuns:
        """Trigger each, do meanwhile what people do, and pause all of them when every run has ended."""
        self._sandbox.send_webhooks_to(f"{self._airflow.url}/pihupulse/webhooks/pihupulse_default")
        self.triggered = {name: self._airflow.trigger(name) for name in EXAMPLES}
        self._airflow.wait_until(self._have_ended, 600, "every run of an example has ended")
        for name in EXAMPLES:
            self._airflow.patch(f"/dags/{name}", {"is_paused": True})
        self._sandbox.send_webhooks_to(None)
        return self

    def _have_ended(self) -> bool:
        self._complete_screenings()
        if not self._approved:
            self._approve()
        self.ended = {name: self._airflow.get(f"/dags/{name}/dagRuns")["dag_runs"] for name in EXAMPLES}
        if self._clear_what_airflow_failed():
            return False
        states = {run["state"] for runs in self.ended.values() for run in runs}
        return states <= {"success", "failed"} and ("failed" in states or self._has_started(BY_IMPORT))

    def _clear_what_airflow_failed(self) -> bool:
        """Clear each run once that failed without a fault of its own; return whether there was one."""
        failed = [
            (name, run["dag_run_id"]) for name, runs in self.ended.items() for run in runs if run["state"] == "failed"
        ]
        is_cleared = False
        for name, run_id in failed:
            log = self._airflow.what_failed(name, run_id)
            if run_id not in self._cleared and any(mark in log for mark in AIRFLOWS_OWN):
                self._cleared.add(run_id)
                self._airflow.clear_failed(name, run_id)
                is_cleared = True
        return is_cleared

    def _has_started(self, name: str) -> bool:
        return any(run["run_type"] == "asset_triggered" for run in self.ended[name])

    def _complete_screenings(self) -> None:
        for row in self._sandbox.screenings:
            if row["status"] != "completed" and self._has_settled(row["id"]):
                self._sandbox.complete(row["id"], 60 + len(self._seen) % 40)

    def _has_settled(self, what: str) -> bool:
        """Return whether it was seen for the first time long enough ago."""
        now = time.monotonic()
        return now - self._seen.setdefault(what, now) > SETTLED

    def _approve(self) -> None:
        """Approve the funnel's shortlist, as a person does in the UI, where Airflow asks one (from 3.1 on)."""
        run_id = self.triggered["funnel"]
        is_waiting = self._airflow.task_state("funnel", run_id, "approve") in {"deferred", "awaiting_input"}
        if is_waiting and self._has_settled("the approval"):
            details = f"/dags/funnel/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
            self._airflow.patch(details, {"chosen_options": ["Approve"], "params_input": {}})
            self._approved = True
