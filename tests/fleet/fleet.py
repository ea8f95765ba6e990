"""An Airflow of two workers and two triggerers on Celery, Valkey and PostgreSQL, with two receivers."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from tests.fleet.parts import Part, await_port, parts, valkey, wrong_clock
from tests.integration.airflow import HEALTHY_SECONDS, Airflow, AirflowError
from tests.servers import free_port

_SAMPLE_SECONDS = 5.0
_WARM_SECONDS = 600
"""How long a part may finish what it does: as long as Airflow's Helm chart gives a worker."""
_PATIENT_SECONDS = 60
_PAGE = 1000


class Fleet(Airflow):
    """The fleet, driven by Airflow's REST API as any other Airflow is.

    :param airflow_url: the URL of Airflow's own database. ``store_url``: that of ours.
    :ivar clocks: by how many seconds the clocks of parts are ahead; none where no C compiler makes them wrong.
    :ivar samples: what each part held every five seconds.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        airflow_url: str,
        store_url: str,
        env: Mapping[str, str],
        clocks: Mapping[str, int],
    ) -> None:
        self.receiver_ports = (free_port(), free_port())
        self._valkey_port = free_port()
        database = airflow_url.replace("postgresql://", "postgresql+psycopg2://")
        settings = {
            "CORE__EXECUTOR": "CeleryExecutor",
            "CORE__PARALLELISM": "16",
            "CORE__MAX_ACTIVE_TASKS_PER_DAG": "16",
            "DATABASE__SQL_ALCHEMY_CONN": database,
            "DATABASE__SQL_ALCHEMY_POOL_SIZE": "3",
            "CELERY__BROKER_URL": f"redis://127.0.0.1:{self._valkey_port}/0",
            "CELERY__RESULT_BACKEND": f"db+{database}",
            # A task whose worker was killed is given to another one after so many seconds.
            "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "60",
            "API__MAXIMUM_PAGE_LIMIT": "1000",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            # Until then nobody watches the heartbeats of tasks that a scheduler queued which is gone.
            "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
            # What a worker had taken from the queue when it was killed, and not begun, waits for so long.
            "SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
            "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "15",
            "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "PIHUPULSE__STORE_URL": store_url,
            "PIHUPULSE__WEBHOOK_CONNECTIONS": "pihupulse_default",
        }
        super().__init__(home, dags, {**{f"AIRFLOW__{name}": value for name, value in settings.items()}, **env})
        self.parts: dict[str, Part] = {}
        self.clocks = dict(clocks)
        self.samples: list[dict[str, Mapping[str, int]]] = []
        self._over = threading.Event()
        self._starting = threading.Lock()
        self._stopping: set[str] = set()

    def start(self, progress: Callable[[str], None] = lambda _line: None) -> None:
        """Start all parts, and wait until they are healthy."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._begin(valkey(self.home, self._valkey_port))
        progress("making Airflow's database")
        migrate = [Path(sys.executable).with_name("airflow"), "db", "migrate"]
        subprocess.run(migrate, env=self.env, check=True, capture_output=True)
        for part in parts(self.home, self.receiver_ports):
            self._begin(replace(part, env=self._clock_of(part.name, progress)))
        self.wait_until(lambda: self._is_healthy(progress), HEALTHY_SECONDS, "every component is healthy")
        for port in self.receiver_ports:
            await_port(port)
        threading.Thread(target=self._sample, daemon=True).start()

    def stop(self) -> None:
        """Stop all parts."""
        self._over.set()
        with self._starting:
            pass
        for part in reversed(self.parts.values()):
            part.stop()
        self._api.close()

    def _clock_of(self, name: str, progress: Callable[[str], None]) -> dict[str, str]:
        if name not in self.clocks:
            return {}
        try:
            return wrong_clock(self.home, self.clocks[name])
        except (OSError, subprocess.CalledProcessError) as error:
            progress(f"the clock of {name} stays right, as no C compiler makes it wrong ({error})")
            del self.clocks[name]
            return {}

    def _begin(self, part: Part) -> None:
        part.start(self.env, self.home)
        self.parts[part.name] = part

    def await_health(self, seconds: float) -> None:
        """Wait until every component is healthy, but no longer than so many seconds."""
        with suppress(AirflowError):
            self.wait_until(lambda: self._is_healthy(lambda _line: None), seconds, "every component is healthy")

    def get(self, path: str, **params: Any) -> Any:
        """Return what a GET answers, if need be once the API server and its database are back."""
        return self._patiently(lambda: super(Fleet, self).get(path, **params))

    def post(self, path: str, document: Any) -> Any:
        """Return what a POST answers, if need be once the API server and its database are back."""
        return self._patiently(lambda: super(Fleet, self).post(path, document))

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        until = time.monotonic() + _PATIENT_SECONDS
        while True:
            try:
                return ask()
            except (AirflowError, httpx.HTTPError):
                if time.monotonic() > until:
                    raise
            time.sleep(1)

    def open_runs(self, dag_id: str) -> bool:
        """Return whether a run of a DAG waits or goes on."""
        return bool(self.get(f"/dags/{dag_id}/dagRuns", state=["queued", "running"])["total_entries"])

    def all_tasks(self) -> list[dict[str, Any]]:
        """Return the task instances of all runs of all DAGs."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.get("/dags/~/dagRuns/~/taskInstances", limit=_PAGE, offset=len(found))["task_instances"]
            found += page
            if len(page) < _PAGE:
                return found

    def failed_by_key(self, dag_id: str, run_id: str) -> bool:
        """Return whether all that failed in a run did so because the service refused the API key."""
        failed = [one for one in self.task_instances(dag_id, run_id) if one["state"] == "failed"]
        logs = [self.task_log(dag_id, run_id, one["task_id"], one["map_index"], one["try_number"]) for one in failed]
        return bool(logs) and all("UnauthorizedError" in log for log in logs)

    def kill(self, name: str) -> None:
        """Kill a part, and start it again."""
        with self._starting:
            self.parts[name].kill()
            self.parts[name].start(self.env, self.home)

    def restart(self, name: str) -> None:
        """Ask a part to end, give it time to finish what it does, and start it again, as an upgrade does."""
        self._stopping.add(name)
        self.parts[name].stop(_WARM_SECONDS)
        with self._starting:
            self.parts[name].start(self.env, self.home)
            self._stopping.remove(name)

    def _sample(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            self._supervise()
            self.samples.append({name: part.usage() for name, part in self.parts.items()})

    def _supervise(self) -> None:
        """Start again what has ended by itself, as a service manager does: Airflow's parts end without a database."""
        with self._starting:
            for name, part in self.parts.items():
                if name not in self._stopping and part.process is not None and part.process.poll() is not None:
                    part.start(self.env, self.home)
