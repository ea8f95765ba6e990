"""DAGs run in this process by ``dag.test()``, and what Airflow's API shows of them afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from itertools import count
from operator import itemgetter
from typing import Any
from unittest import mock
from urllib.parse import quote

import httpx
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.listeners import hookimpl
from airflow.sdk import DAG
from airflow.sdk.execution_time import supervisor
from fastapi import FastAPI

from pihupulse_provider.api import RetryPolicy
from pihupulse_provider.hooks import settings
from pihupulse_provider.store.overview import Overview, Wanted, read_overview

try:
    from airflow.sdk.listener import get_listener_manager
except ImportError:  # Airflow 3.0
    from airflow.listeners.listener import get_listener_manager

if not hasattr(supervisor.in_process_api_server, "cache_info"):
    # Before Airflow 3.3 each task makes the execution API anew, which takes seconds.
    supervisor.in_process_api_server = lru_cache(maxsize=1)(supervisor.in_process_api_server)
BUNDLE = "dags-folder"
_numbers = count(1)


class Api:
    """Airflow's REST API in this process, for one who may do everything."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        admin = SimpleAuthManagerUser(username="admin", role="admin")
        self._headers = {"Authorization": f"Bearer {get_auth_manager().generate_jwt(admin)}"}

    def get(self, path: str, **params: Any) -> httpx.Response:
        """Return the response to a GET, path as in ``/dags``."""
        return asyncio.run(self._get(path, params))

    async def _get(self, path: str, params: Mapping[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://airflow.test/api/v2", headers=self._headers
        ) as client:
            return await client.get(path, params=dict(params))


class Run:
    """One finished run of a DAG, as Airflow's API shows it."""

    def __init__(self, api: Api, dag_id: str, run_id: str, errors: Mapping[tuple[str, int], list[Any]]):
        self._api = api
        self._dag_id = dag_id
        self._path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}"
        self.errors = errors

    @property
    def state(self) -> str:
        """The run's state."""
        return str(self._get("")["state"])

    def states(self, task_id: str) -> list[str]:
        """Return the states of a task's instances, by map index."""
        found = [one for one in self._get("/taskInstances", limit=100)["task_instances"] if one["task_id"] == task_id]
        return [one["state"] for one in sorted(found, key=itemgetter("map_index"))]

    def xcom(self, task_id: str, map_index: int = -1) -> Any:
        """Return the JSON that a task returned; None if there is none."""
        path = f"{self._path}/taskInstances/{task_id}/xcomEntries/return_value"
        response = self._api.get(path, map_index=map_index, deserialize=False, stringify=False)
        if response.status_code == 404:
            return None
        value = response.raise_for_status().json()["value"]
        return json.loads(value) if isinstance(value, str) and value.startswith(("[", "{", '"')) else value

    def rendered(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return the rendered template fields of a task."""
        mapped = f"/{map_index}" if map_index >= 0 else ""
        return dict(self._get(f"/taskInstances/{task_id}{mapped}")["rendered_fields"])

    def shown(self) -> list[str]:
        """Return the tasks of the DAG that the PihuPulse page shows as waiting."""

        def read(overview: Overview) -> dict[str, Any]:
            return {"waits": overview.tasks(["wait"], Wanted(dag_id=self._dag_id), 100)}

        waits = read_overview(settings.store(), lambda dag_ids: dag_ids, read)["waits"]
        return [row.task_id for row in waits.rows]

    def _get(self, path: str, **params: Any) -> Any:
        return self._api.get(self._path + path, **params).raise_for_status().json()


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

    :param app: Airflow's API, on a migrated database.
    """

    def __init__(self, app: FastAPI) -> None:
        self._api = Api(app)
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
        with mock.patch.object(RetryPolicy, "jitter", return_value=0.0):  # a failed request is sent again at once
            run = dag.test(run_conf=dict(conf or {}), **moment)
        return Run(self._api, dag.dag_id, run.run_id, dict(self._errors.by_task))


def _store(dag: DAG) -> None:
    """Put the DAG into the database, as the DAG processor does with those of files."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 3.0 and 3.1
        from airflow.models.dagbag import DagBag
    bag = DagBag(os.devnull)
    bag.bag_dag(dag)
    if hasattr(bag, "sync_to_db"):  # Airflow 3.0
        dag.relative_fileloc = f"{dag.dag_id}.py"
        bag.sync_to_db(BUNDLE, None)
    else:
        sys.modules[DagBag.__module__].sync_bag_to_db(bag, BUNDLE, None)
