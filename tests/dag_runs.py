"""DAGs run in this process by ``dag.test()``, and what Airflow's database holds of them afterwards."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from airflow.listeners import hookimpl
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS
from airflow.sdk import DAG
from airflow.sdk.execution_time import supervisor

try:
    from airflow.sdk.listener import get_listener_manager
except ImportError:  # Airflow 3.0
    from airflow.listeners.listener import get_listener_manager

if not hasattr(supervisor.in_process_api_server, "cache_info"):
    # Before Airflow 3.3 each task makes the execution API anew, which takes seconds.
    supervisor.in_process_api_server = lru_cache(maxsize=1)(supervisor.in_process_api_server)
BUNDLE = "dags-folder"
_numbers = count(1)


class Run:
    """One finished run of a DAG."""

    def __init__(self, database: Path, dag_id: str, run_id: str, errors: Mapping[tuple[str, int], list[Any]]):
        self._database = database
        self._key = (dag_id, run_id)
        self.errors = errors

    @property
    def state(self) -> str:
        """The run's state."""
        return self.rows("SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?")[0][0]

    def states(self, task_id: str) -> list[str]:
        """Return the states of a task's instances, by map index."""
        query = "SELECT state FROM task_instance WHERE dag_id = ? AND run_id = ? AND task_id = ? ORDER BY map_index"
        return [row[0] for row in self.rows(query, task_id)]

    def xcom(self, task_id: str, map_index: int = -1) -> Any:
        """Return the JSON that the database holds as the task's return value; None if there is none."""
        query = (
            "SELECT value FROM xcom WHERE key = 'return_value' "
            "AND dag_id = ? AND run_id = ? AND task_id = ? AND map_index = ?"
        )
        rows = self.rows(query, task_id, map_index)
        return _parsed(rows[0][0]) if rows else None

    def rendered(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return the rendered template fields that the database holds."""
        query = (
            "SELECT rendered_fields FROM rendered_task_instance_fields "
            "WHERE dag_id = ? AND run_id = ? AND task_id = ? AND map_index = ?"
        )
        return _parsed(self.rows(query, task_id, map_index)[0][0])

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask Airflow's database."""
        with sqlite3.connect(self._database) as connection:
            found = connection.execute(query, (*self._key, *values)).fetchall()
        connection.close()
        return found


class Errors:
    """Hears of everything that a task raises."""

    def __init__(self) -> None:
        self.by_task: dict[tuple[str, int], list[Any]] = defaultdict(list)

    @hookimpl
    def on_task_instance_failed(self, task_instance: Any, error: Any) -> None:
        """Remember what a try ended with."""
        self.by_task[task_instance.task_id, task_instance.map_index].append(error)


class DagRuns:
    """Makes DAGs and runs them.

    :param home: Airflow's home, with a migrated SQLite database.
    """

    def __init__(self, home: Path) -> None:
        self.database = home / "airflow.db"
        self._errors = Errors()
        get_listener_manager().add_listener(self._errors)

    def dag(self, **default_args: Any) -> DAG:
        """Return an empty DAG whose tasks retry without a delay."""
        return DAG(f"dag_{next(_numbers)}", schedule=None, default_args={"retry_delay": 0, **default_args})

    def run(self, dag: DAG, conf: Mapping[str, Any] | None = None, at: datetime | None = None) -> Run:
        """Run the DAG to its end; two runs at the same moment are the same run, as after a clear.

        :param at: when the run is for; now if None.
        """
        self._errors.by_task.clear()
        _store(dag)
        moment = {"logical_date": at, "run_after": at} if at is not None else {}
        run = dag.test(run_conf=dict(conf or {}), **moment)
        return Run(self.database, dag.dag_id, run.run_id, dict(self._errors.by_task))


def _store(dag: DAG) -> None:
    """Put the DAG into the database, as the DAG processor does with those of files."""
    if not AIRFLOW_V_3_1_PLUS:
        return  # Airflow 3.0 runs a DAG that it does not know.
    try:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag, sync_bag_to_db
    bag = DagBag(os.devnull)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, BUNDLE, None)


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
