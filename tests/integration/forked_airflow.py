"""Airflow's components as forks of one process, which makes them and all their tasks start sooner."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable

from tests.forking import Fork, Forks
from tests.integration.airflow import HEALTHY_SECONDS, STOP_SECONDS, Airflow, AirflowError

_END_SECONDS = 60


class ForkedAirflow(Airflow):
    """What ``airflow standalone`` runs, each part of which can be ended and started.

    :ivar parts: the processes of each component, the newest last.
    """

    parts: dict[str, list[Fork]]

    def start(self, progress: Callable[[str], None] = lambda _line: None) -> None:
        """Start it and wait until every component is healthy."""
        self.parts = {}
        self.home.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._forks = Forks("tests.integration.components", self.env, log)
        if self._forks.start("initdb", piped=False).wait(HEALTHY_SECONDS) != 0:
            raise AirflowError(f"Airflow's database can't be made.\n{self.log_end()}")
        for component in ("api-server", "scheduler", "dag-processor", "triggerer"):
            self.begin(component)
        self._wait_until_healthy(progress)

    def begin(self, component: str, *options: str) -> Fork:
        """Start one more process of a component."""
        fork = self._forks.start(component, *options, piped=False)
        self.parts.setdefault(component, []).append(fork)
        return fork

    def end(self, component: str, sign: int, count: int | None = None) -> None:
        """Send a signal to the newest processes of a component, all if None, and wait until they have ended."""
        forks = self.parts[component]
        ending = forks[-(count or len(forks)) :]
        del forks[-len(ending) :]
        for fork in ending:
            fork.send_signal(sign)
        for fork in ending:
            fork.wait(_END_SECONDS)

    def stop(self) -> None:
        """Stop it and all that it started."""
        forks = [fork for component in self.parts.values() for fork in component]
        for fork in forks:
            fork.send_signal(signal.SIGTERM)
        for fork in forks:
            with contextlib.suppress(subprocess.TimeoutExpired):
                fork.wait(STOP_SECONDS)
            fork.kill()
        self._forks.stop()
        self._api.close()

    def _ended(self) -> str | None:
        ended = (f"Airflow's {name}" for name, forks in self.parts.items() for fork in forks if fork.poll() is not None)
        return next(ended, None)
