"""Random histories of a rate limit that a fleet shares, in virtual time.

``python -m tests.store.limit_histories FIRST COUNT [--tell]`` plays some.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pihupulse_provider.api import Plan
from tests.histories import play_many, told_log
from tests.store.virtual_fleet import Fleet

CALM_AFTER = 100.0
"""Seconds from the last fault until all must be as if there had been none."""
CALM = 120.0
LONGEST_GAP = 75.0
"""Seconds for which a process may get nothing: a minute beyond what the plan makes it wait."""


@dataclass
class Chances:
    """What a history is like; faults are (begin, end, kind, share of the requests)."""

    rate: int
    burst: int
    reading: str
    reset: str | None
    headers: str
    skew: float
    latency: float
    store_seconds: float
    processes: list[tuple[float, int, int]]
    faults: list[tuple[float, float, str, float]]
    store_faults: list[tuple[float, float, str]]
    clock_set: float | None
    paused: bool
    killed: bool

    @classmethod
    def draw(cls, dice: random.Random, rates: Sequence[int]) -> Chances:
        rate = dice.choice(rates)
        reading = dice.choice(["bucket", "window"])
        kinds = ["refused", "unanswered", "slow", "late", "500", "bare 429", "retry-after", "gateway"]
        return cls(
            rate=rate,
            burst=rate * 3 // 2,
            reading=reading,
            reset=dice.choice([None, "next-slot", "full-bucket"]) if reading == "bucket" else None,
            headers=dice.choice(["right", "right", "right", "none", "delta", "milliseconds", "far", "stale"]),
            skew=dice.choice([0, 0, -3600, 12]),
            latency=dice.choice([0.02, 0.05, 0.3]),
            store_seconds=dice.choice([0.0, 0.001, 0.01, 0.05]),
            processes=[
                (
                    dice.choice([0, 0, 5, -600, 3600]),
                    16 if not number else dice.choice([1, 4, 16]),
                    dice.choice([0, 0, 1, 8]),
                )
                for number in range(dice.choice([1, 2, 3, 6, 12]))
            ],
            faults=[
                ((begin := dice.uniform(60, 80)), begin + dice.choice([0.05, 5, 12, 30]), dice.choice(kinds), share)
                for share in dice.choices([0.05, 0.2, 1.0], k=dice.choice([0, 1, 1, 2]))
            ],
            store_faults=[
                ((begin := dice.uniform(60, 80)), begin + dice.choice([1, 10, 40]), kind)
                for kind in dice.choices(["away", "silent", "full", "slow"], k=dice.choice([0, 0, 1]))
            ],
            clock_set=dice.choice([None, None, None, -3600, -20, 600]),
            paused=dice.random() < 0.2,
            killed=dice.random() < 0.2,
        )


class History:
    """One history; :meth:`play` it once."""

    def __init__(self, number: int, url: str, rates: Sequence[int]) -> None:
        self.dice = random.Random(number)
        self.chances = chances = Chances.draw(self.dice, rates)
        self.told: list[str] = []
        service = {name: getattr(chances, name) for name in ("rate", "burst", "reading", "reset", "headers", "skew")}
        times = {"latency": chances.latency, "store_seconds": chances.store_seconds}
        self.fleet = Fleet(url, self.dice, **times, **service)
        self.fleet.faults, self.fleet.store_faults = chances.faults, chances.store_faults
        self._calm_at = max([120.0, *(fault[1] for fault in [*chances.faults, *chances.store_faults])]) + CALM_AFTER

    def tell(self, text: str) -> None:
        self.told.append(f"{self.fleet.hub.now:9.3f} {text}")

    def play(self) -> str | None:
        """Return what is wrong; None if nothing is."""
        for apart, workers, polls in self.chances.processes:
            process = self.fleet.start(apart=apart, plan=self._plan())
            process.work(workers)
            process.work(polls, poll=True)
        self.fleet.hub.spawn(self._trouble, 70.0)
        self.fleet.hub.run(self._calm_at + CALM)
        self.fleet.end()
        return self._what_is_wrong()

    def _plan(self):
        """Return the plan that the connection names, as it must where no header does."""
        chances = self.chances
        burst = chances.burst if chances.reading == "bucket" else chances.rate
        return Plan(chances.rate, burst) if chances.headers == "none" else None

    def _trouble(self):
        last = self.fleet.processes[-1]
        if self.chances.clock_set is not None:
            self.fleet.store_apart = self.chances.clock_set
        if self.chances.paused:
            last.stopped_until = 120.0
        if self.chances.killed and len(self.fleet.processes) > 1:
            last.is_dead = True

    def _what_is_wrong(self):
        begin, end, service = self._calm_at, self._calm_at + CALM, self.fleet.service
        share = service.count("served", begin, end) / (self.chances.rate * CALM / 60)
        limited = service.count("limited", begin, end) / max(1, len([one for one in service.log if one[0] >= begin]))
        if share < 0.94:
            return f"{share:.2f} of the plan"
        if limited > 0.02:
            return f"{limited:.3f} of the requests got a 429"
        for process in self.fleet.processes:
            for poll, done in process.done.items():
                if (
                    process.senders[poll]
                    and not process.is_dead
                    and (gap := _gap([begin, *done, end], begin)) > LONGEST_GAP
                ):
                    return f"{process.name} got nothing for {gap:.0f} seconds ({'polls' if poll else 'work'})"
        return None


def _gap(moments, begin):
    return max(later - earlier for earlier, later in pairwise(sorted(at for at in moments if at >= begin)))


def play(number: int, rates: Sequence[int] = (60, 100, 300, 1000, 3000)) -> tuple[History, str | None]:
    """Play a history; return it, and what is wrong in the end."""
    with tempfile.TemporaryDirectory() as folder:
        history = History(number, f"sqlite:///{folder}/store.db", rates)
        with told_log(history.tell):
            return history, history.play()


if __name__ == "__main__":
    sys.exit(play_many(play, __doc__))
