"""What goes wrong in a fleet while it works: parts killed, PostgreSQL restarted, PihuPulse away or slow."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from pihupulse_provider.sandbox import Sandbox
from tests.fleet.fleet import Fleet
from tests.servers import Postgres

_AWAY_SECONDS = 30.0
_DISORDER_SECONDS = 12.0
_PARTS = ("worker-1", "triggerer-1", "receiver-1", "scheduler", "worker-2", "triggerer-2", "receiver-2")
_RESTARTED = ("scheduler", "receiver-1", "triggerer-1", "receiver-2", "triggerer-2", "worker-1", "worker-2")
"""Workers last: triggerers are upgraded before them, and a worker ends once its tasks do, which takes minutes."""
_BETWEEN_SECONDS = 5.0
_HEALTHY_SECONDS = 60.0
"""How long a fault waits until the fleet is up again after the one before."""


class Begun(NamedTuple):
    """A fault, and when it began (epoch seconds)."""

    at: float
    name: str


class Faults:
    """Each fault once, one after the other; with a seed in an order of its own.

    :param gentle: only restart each part, as an upgrade does.
    :ivar begun: what went wrong.
    :ivar unusable: from when until when PihuPulse was away, or refused the API key.
    :ivar key_is_valid: unset while the API key is revoked.
    """

    def __init__(self, fleet: Fleet, sandbox: Sandbox, server: Postgres, seed: int | None, *, gentle: bool) -> None:
        self.begun: list[Begun] = []
        self.unusable: list[tuple[float, float]] = []
        self._fleet = fleet
        self._seed = seed
        self._sandbox = sandbox
        self._ended = threading.Event()
        self.key_is_valid = threading.Event()
        self.key_is_valid.set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        if gentle:
            self._all: Mapping[str, Callable[[], None]] = {
                f"restart of {one}": partial(fleet.restart, one) for one in _RESTARTED
            }
            return
        self._all = {
            **{f"kill -9 of {one}": partial(fleet.kill, one) for one in _PARTS},
            "PostgreSQL restarted": partial(_restart, server),
            "PihuPulse away": self._go_away,
            "PihuPulse slow": partial(self._spoil, _DISORDER_SECONDS, "latency", seconds=3.0),
            "PihuPulse answers 500": partial(self._spoil, _DISORDER_SECONDS, "error", probability=0.5),
            "the API key revoked": self._revoke_key,
            "429 without headers": partial(self._spoil, _DISORDER_SECONDS, "rate_limited", probability=0.2),
            "HTML": partial(self._spoil, _DISORDER_SECONDS, "html", probability=0.5),
            "half answers": partial(self._spoil, _DISORDER_SECONDS, "truncated", probability=0.2),
            "one answer in twenty lost": partial(
                self._spoil, _DISORDER_SECONDS, "drop", probability=0.05, after_commit=True
            ),
        }

    def __enter__(self) -> Faults:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._sandbox.heal()
        self._fleet.await_health(_HEALTHY_SECONDS)

    def _run(self) -> None:
        names = list(self._all)
        if self._seed is not None:
            random.Random(self._seed).shuffle(names)
        for name in names:
            self._fleet.await_health(_HEALTHY_SECONDS)
            if self._ended.wait(_BETWEEN_SECONDS):
                return
            self.begun.append(Begun(time.time(), name))
            self._all[name]()

    def _go_away(self) -> None:
        began = time.time()
        self._spoil(_AWAY_SECONDS, "drop")
        self.unusable.append((began, time.time()))

    def _revoke_key(self) -> None:
        began = time.time()
        self.key_is_valid.clear()
        self._spoil(_DISORDER_SECONDS, "error", status=401)
        self.key_is_valid.set()
        self.unusable.append((began, time.time()))

    def _spoil(self, lasting: float, kind: str, **options: object) -> None:
        self._sandbox.fail(kind, **options)
        self._ended.wait(lasting)
        self._sandbox.heal()


def _restart(server: Postgres) -> None:
    server.stop()
    time.sleep(3)
    server.start()
