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
IMPORTING = "import_from_storage"
"""The one whose import starts it here; the others import while it is paused, so that it need not run each time."""
OTHERS_IMPORTING = ("funnel", "import_and_screen", "import_from_sql", "import_pages")
SETTLED = 8.0
"""Seconds after which a screening is completed, and a person approves. What wakes a task as soon as it has deferred
overtakes the executor's note of that on a busy machine, and Airflow fails the task."""
FAULT = "Task failed with exception"
"""What the log says of a task that failed by itself."""
AIRFLOWS_OWN = (
    "Server indicated the task shouldn't be running anymore",
    "TI was not in the running state so it cannot be updated",
)
"""What the log says of a task that waited, and that Airflow failed all the same: it was resumed before the executor had
noted that it waits."""
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
        from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

        self.triggered: dict[str, str] = {}
        self.ended: dict[str, list[dict[str, Any]]] = {}
        self._airflow, self._sandbox = airflow, sandbox
        self._seen: dict[str, float] = {}
        self._approved = not AIRFLOW_V_3_1_PLUS
        self._cleared: set[str] = set()

    def run(self) -> ExampleRuns:
        """Trigger each, do meanwhile what people do, and pause all of them when every run has ended."""
        self._sandbox.send_webhooks_to(f"{self._airflow.url}/pihupulse/webhooks/pihupulse_default")
        self._trigger(BY_IMPORT, IMPORTING, *(name for name in EXAMPLES if name not in (BY_IMPORT, *OTHERS_IMPORTING)))
        self._airflow.wait_until(self._has_been_started, 600, f"{BY_IMPORT} has been started by an import", every=1.0)
        self._pause(BY_IMPORT)
        self._trigger(*OTHERS_IMPORTING)
        self._airflow.wait_until(self._have_ended, 600, "every run of an example has ended", every=1.0)
        self._pause(*EXAMPLES)
        self._sandbox.send_webhooks_to(None)
        return self

    def _trigger(self, *names: str) -> None:
        self.triggered |= {name: self._airflow.trigger(name) for name in names if name not in self.triggered}

    def _pause(self, *names: str) -> None:
        for name in names:
            self._airflow.patch(f"/dags/{name}", {"is_paused": True})

    def _has_been_started(self) -> bool:
        """Return whether it was started and has ended: what is paused goes on with nothing."""
        if not self._have_ended(BY_IMPORT, IMPORTING):
            return False
        runs = self.ended[BY_IMPORT]
        is_started = any(run["run_type"] == "asset_triggered" for run in runs)
        return is_started or any(run["state"] == "failed" for run in [*runs, *self.ended[IMPORTING]])

    def _have_ended(self, *names: str) -> bool:
        self._complete_screenings()
        if not self._approved and "funnel" in self.triggered:
            self._approve()
        runs = self._airflow.get("/dags/~/dagRuns", limit=1000)["dag_runs"]
        self.ended = {name: [run for run in runs if run["dag_id"] == name] for name in EXAMPLES}
        if self._clear_what_airflow_failed():
            return False
        return {run["state"] for name in names or EXAMPLES for run in self.ended[name]} <= {"success", "failed"}

    def _clear_what_airflow_failed(self) -> bool:
        """Clear each run once that failed without a fault of its own; return whether there was one."""
        failed = [
            (name, run["dag_run_id"]) for name, runs in self.ended.items() for run in runs if run["state"] == "failed"
        ]
        is_cleared = False
        for name, run_id in failed:
            log = self._airflow.what_failed(name, run_id)
            is_airflows_own = FAULT not in log or any(mark in log for mark in AIRFLOWS_OWN)
            if run_id not in self._cleared and is_airflows_own:
                self._cleared.add(run_id)
                self._airflow.clear_failed(name, run_id)
                is_cleared = True
        return is_cleared

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
        task = f"/dags/funnel/dagRuns/{run_id}/taskInstances/approve"
        is_waiting = self._airflow.get(task)["state"] in {"deferred", "awaiting_input"}
        if is_waiting and self._has_settled("the approval"):
            self._airflow.patch(f"{task}/-1/hitlDetails", {"chosen_options": ["Approve"], "params_input": {}})
            self._approved = True
