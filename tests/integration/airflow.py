"""A real Airflow on SQLite: scheduler, API server, DAG processor and triggerer, on free ports of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

HEALTHY_SECONDS = 300
STOP_SECONDS = 8
ATTEMPTS = 6
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class AirflowError(Exception):
    """Airflow ended, or did not get as far as it should in time; the message has the end of its log."""


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Airflow:
    """One Airflow with a home of its own.

    :param home: where it keeps its database, its logs and its configuration.
    :param dags: the folder of its DAGs.
    :param env: what its environment has beyond this process's: connections, settings.
    """

    def __init__(self, home: Path, dags: Path, env: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / "airflow.log"
        self.env = {**_environment(home, dags, self.port), **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._api = httpx.Client(base_url=f"{self.url}/api/v2", timeout=60)

    def start(self, progress: Callable[[str], None] = lambda _line: None) -> None:
        """Start it and wait until every component is healthy.

        :raises AirflowError: if it ends, or is not healthy in five minutes.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["airflow", "standalone"],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_healthy(progress)

    def stop(self) -> None:
        """Stop it and all that it started."""
        if self._process is None:
            return
        for sign in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        self._process = None
        self._api.close()

    def __enter__(self) -> Airflow:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def get(self, path: str, **params: Any) -> Any:
        """Return what a GET of the public REST API answers, path as in ``/dags``, or of another whole URL."""
        return self._checked(self._api.get(path, params=params))

    def post(self, path: str, document: Any) -> Any:
        """Return what a POST of the public REST API answers."""
        return self._checked(self._written("POST", path, document))

    def patch(self, path: str, document: Any) -> Any:
        """Return what a PATCH of the public REST API answers."""
        return self._checked(self._written("PATCH", path, document))

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run of a DAG, once Airflow has read its file; return the run's id."""
        self.wait_until(lambda: self._api.get(f"/dags/{dag_id}").is_success, 180, f"DAG {dag_id} is known")
        self.patch(f"/dags/{dag_id}", {"is_paused": False})
        # With an id of its own it can be sent again, and starts one run.
        run = {"dag_run_id": f"manual__{uuid4()}", "logical_date": None, "conf": dict(conf or {})}
        response = self._written("POST", f"/dags/{dag_id}/dagRuns", run)
        if response.status_code != 409:
            self._checked(response)
        return str(run["dag_run_id"])

    def clear_failed(self, dag_id: str, run_id: str) -> int:
        """Let what failed in a run begin again, as a person does once the cause is gone; return how many tasks."""
        what = {"dry_run": False, "dag_run_id": run_id, "only_failed": True, "reset_dag_runs": True}
        return int(self.post(f"/dags/{dag_id}/clearTaskInstances", what)["total_entries"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float = 120) -> str:
        """Wait until a run has ended; return its state."""
        ended = ("success", "failed")
        self.wait_until(lambda: self.run_state(dag_id, run_id) in ended, seconds, f"the run of {dag_id} has ended")
        return self.run_state(dag_id, run_id)

    def wait_for_success(self, dag_id: str, run_id: str, seconds: float = 120) -> None:
        """Wait until a run has ended well.

        :raises AirflowError: if it has not, with the log of what failed.
        """
        if self.wait_for_run(dag_id, run_id, seconds) != "success":
            raise AirflowError(self.what_failed(dag_id, run_id))

    def what_failed(self, dag_id: str, run_id: str) -> str:
        """Return the ends of the logs of a run's failed tasks, of two at most."""
        failed = [one for one in self.task_instances(dag_id, run_id) if one["state"] == "failed"]
        logs = (
            f"{one['task_id']} failed:\n"
            + self.task_log(dag_id, run_id, one["task_id"], one["map_index"], max(1, one["try_number"]))[-3000:]
            for one in failed[:2]
        )
        return "\n\n".join(logs) or f"The run of {dag_id} failed."

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of a run."""
        page = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=1000)
        return list(page["task_instances"])

    def task_state(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str | None:
        """Return the state of one task instance."""
        found = (
            instance["state"]
            for instance in self.task_instances(dag_id, run_id)
            if instance["task_id"] == task_id and instance["map_index"] == map_index
        )
        return next(found, None)

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, key: str = "return_value") -> Any:
        """Return what a task returned, or another of its XComs."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        value = self.get(path, map_index=map_index, deserialize=False, stringify=False)["value"]
        return json.loads(value) if isinstance(value, str) and value.startswith(("[", "{", '"')) else value

    def task_log(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, attempt: int = 1) -> str:
        """Return the log of one try of a task, a line an event, and a line for each error that it tells of."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        content = self.get(path, map_index=map_index, full_content=True)["content"]
        return "\n".join(line for item in content for line in _log_lines(item))

    def wait_until(self, done: Callable[[], bool], seconds: float, what: str, every: float = 0.5) -> None:
        """Wait until something holds.

        :param every: seconds between two looks, which may cost Airflow more than what is waited for.
        :raises AirflowError: if Airflow ends, or it does not come to hold in time.
        """
        deadline = time.monotonic() + seconds
        while not done():
            if ended := self._ended():
                raise AirflowError(f"{ended} ended before {what}.\n{self.log_end()}")
            if time.monotonic() > deadline:
                raise AirflowError(f"After {seconds:.0f} s still not: {what}.\n{self.log_end()}")
            time.sleep(every)

    def log_end(self, lines: int = 40) -> str:
        """Return the last lines of Airflow's own log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _ended(self) -> str | None:
        """Return what has ended without being asked to; None if all of it runs."""
        return "Airflow" if self._process is not None and self._process.poll() is not None else None

    def _wait_until_healthy(self, progress: Callable[[str], None]) -> None:
        self.wait_until(lambda: self._is_healthy(progress), HEALTHY_SECONDS, "every component is healthy")
        # Everybody is an admin here, but Airflow 3.1 wants to see that all the same.
        token = self._checked(self._api.get(f"{self.url}/auth/token"))["access_token"]
        self._api.headers["Authorization"] = f"Bearer {token}"

    def _is_healthy(self, progress: Callable[[str], None]) -> bool:
        try:
            health = self._api.get("/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            progress("waiting for the API server")
            return False
        waiting = [name for name in COMPONENTS if (health.get(name) or {}).get("status") != "healthy"]
        if waiting:
            progress(f"waiting for: {', '.join(waiting)}")
        return not waiting

    def _written(self, method: str, path: str, document: Any) -> httpx.Response:
        """Send again what Airflow on SQLite now and then answers with 500: its database is locked for a moment."""
        for _ in range(ATTEMPTS - 1):
            response = self._api.request(method, path, json=document)
            if response.status_code != 500:
                return response
            time.sleep(1)
        return self._api.request(method, path, json=document)

    @staticmethod
    def _checked(response: httpx.Response) -> Any:
        if not response.is_success:
            raise AirflowError(
                f"{response.request.method} {response.request.url}: {response.status_code} {response.text}"
            )
        return response.json()


def _log_lines(item: Any) -> list[str]:
    if not isinstance(item, dict):
        return [str(item)]
    errors = [f"{one.get('exc_type')}: {one.get('exc_value')}" for one in item.get("error_detail") or []]
    return [str(item.get("event", item)), *errors]


def _environment(home: Path, dags: Path, port: int) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    # This machine may forbid compiled files, which doubles every start.
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    inherited["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}"
    settings = {
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__WORKERS": "1",
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API_AUTH__JWT_SECRET": os.urandom(32).hex(),
        "CORE__DAGS_FOLDER": str(dags),
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "CORE__EXECUTOR": "LocalExecutor",
        # Airflow's own eighty files of examples are read over and over, which fills a core.
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": "4",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        # A trigger that fires at once must not overtake the executor's note that the task has deferred.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
        # On a busy machine the API server's first responses take longer than the 5 seconds that a task waits.
        "WORKERS__EXECUTION_API_TIMEOUT": "60",
    }
    return {**inherited, "AIRFLOW_HOME": str(home), **{f"AIRFLOW__{key}": value for key, value in settings.items()}}
