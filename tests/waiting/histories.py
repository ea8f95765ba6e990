"""Random histories of waits, in virtual time: ``python -m tests.waiting.histories FIRST COUNT [--tell]``.

In a history tasks wait for screenings, by themselves or in triggerers, which are killed and take over from each other,
with clocks of their own. PihuPulse and the network fail, webhooks are late, lost or doubled, the store is away, and
others create and delete screenings. Then comes a time without trouble, in which the rest of the screenings end. In the
end every wait must have ended as what it waited for says, and soon after that was so. A number decides it all.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from typing import Any

os.environ.setdefault("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")

import pytest

from pihupulse_provider.api import Account, MemoryRateLimit, endpoints
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.triggers import waiting
from pihupulse_provider.waiting import shared_poller
from tests.histories import in_words, play_many, told_log
from tests.virtual_processes import ProcessHistory
from tests.waiting.chances import TROUBLES, Chances
from tests.waiting.expectations import PAGE, Life, Wait, judge
from tests.waiting.triggerers import CONNECTION, Airflow, Processes, Task
from tests.waiting.virtual_inbox import receive

SETTLES = 120.0
"""Seconds after the trouble in which what it has left under way comes to its end."""


class History(ProcessHistory):
    """One history; :meth:`play` it once."""

    waiting = waiting

    def __init__(self, number: int, patch: pytest.MonkeyPatch) -> None:
        super().__init__(number, Chances.draw)
        chances = self.chances
        self.inbox: list[Any] = []
        self.lives: dict[str, Life] = {}
        self.waits: list[Wait] = []
        self.rounds: list[tuple[float, int, int]] = []
        self.revoked_at: list[float] = []
        self.restarts: list[tuple[float, float]] = []
        self.sandbox = Sandbox(
            clock=lambda: self.now() + chances.service_apart,
            order=chances.order,
            start_seconds=1e9,
            screening_seconds=1e9,
            **chances.plan,
        )
        self.account = Account(self.sandbox.api_key, self.sandbox.base_url)
        self.limit = MemoryRateLimit(clock=self.now) if chances.shares_limit else None
        self.calm_from = chances.trouble_lasts + SETTLES if chances.trouble_lasts else 0.0
        self._away: list[tuple[float, float, Any]] = []
        # So that few screenings take several pages.
        patch.setattr(endpoints.list_screenings, "__defaults__", (1, PAGE))
        self._watch_rounds(patch)
        Processes(self, patch)
        self.airflow = Airflow(self)

    def store_now(self):
        return self.now() + self.chances.store_apart

    def is_store_away(self, process):
        now = self.loop.time()
        return any(begin <= now < end and whose in (None, process.name) for begin, end, whose in self._away)

    def play(self) -> str | None:
        """Return what is wrong in the end; None if nothing is."""
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            self.loop.set_exception_handler(self._unhandled)
            return runner.run(self._play())

    def _unhandled(self, _, context):
        if self.owners.get(context.get("future")) is not None or "future" not in context:
            self.wrong.append(f"{context}")

    async def _play(self):
        self._insert()
        self._heal()
        for _ in range(self.chances.triggerers):
            self.airflow.start_triggerer()
        scenes = [self._end_screenings(), self._trouble(), self._restart(), self._churn()]
        scenes += [self._wait(number) for number in range(self.chances.waits)]
        tasks = [self.run_in(None, scene) for scene in scenes]
        await asyncio.wait(tasks[:4])
        while (end := judge(self)) > self.loop.time():
            await asyncio.sleep(min(100.0, end - self.loop.time() + 1))
        return await self._what_is_wrong(tasks)

    async def _what_is_wrong(self, tasks):
        for task in tasks[:4]:
            task.result()
        for wait in self.waits:
            if wrong := wait.wrong(self):
                return f"{wait}: {wrong}"
            if wait.task is not None:
                wait.task.cancel()
        await asyncio.wait(tasks)
        await asyncio.sleep(SETTLES)
        left = [task for task, owner in self.owners.items() if owner is not None and not task.done()]
        if left:
            return f"left over: {left}"
        return next(iter(self.airflow.wrong + self.wrong), None) or self._too_many_requests()

    def _too_many_requests(self):
        calm = [(sent, cheapest) for at, sent, cheapest in self.rounds if at >= self.calm_from and sent]
        if dear := [one for one in calm if one[0] > 2 * (3 * one[1] + 2)]:
            return f"rounds of so many requests, where so many would do: {dear}"
        ends = [wait.ended_at or self.loop.time() for wait in self.waits]
        lasted = [end - max(wait.began_at, self.calm_from) for end, wait in zip(ends, self.waits, strict=True)]
        most = sum(max(0.0, one) / wait.spec.interval + 4 for one, wait in zip(lasted, self.waits, strict=True))
        return f"{len(calm)} rounds, and not {most:.0f}" if len(calm) > most else None

    def _insert(self):
        dice, chances = self.dice, self.chances
        self._others(chances.others // 2)
        left = chances.screenings
        while left > 0:
            (candidate,) = self.sandbox.insert_candidates(1)
            count = min(left, dice.randrange(1, chances.per_candidate + 1))
            for one in self.sandbox.insert_screenings([candidate] * count):
                self.sandbox.put(one, "pending")
                self.lives[one] = Life.draw(dice, one, candidate, chances)
            left -= count
        self._others(chances.others - chances.others // 2)

    def _others(self, count):
        return self.sandbox.insert_screenings(self.sandbox.insert_candidates(count))

    async def _end_screenings(self):
        for life in sorted(self.lives.values(), key=lambda life: life.ends_at):
            await asyncio.sleep(max(0.0, life.ends_at - self.loop.time()))
            self.tell(f"{life.screening_id} is {life.end}")
            if life.end == "deleted":
                self.sandbox.delete(life.screening_id)
            else:
                self.sandbox.put(life.screening_id, life.end)
            if life.end == "completed" and self.chances.webhooks:
                self.serve(self._deliver(life, CONNECTION))

    async def _deliver(self, life, connection):
        dice = self.dice
        if dice.random() >= self.chances.heard:
            return
        shown = {"screening_id": life.screening_id, "candidate_id": life.candidate_id, "score": 50}
        shown["completed_at"] = "2023-11-14T22:13:20Z"
        for _ in range(dice.choice([1, 1, 1, 2])):
            await asyncio.sleep(dice.choice([0, 0.5, dice.uniform(0, 10), dice.uniform(0, 200)]))
            while any(begin <= self.loop.time() < end and whose is None for begin, end, whose in self._away):
                await asyncio.sleep(5)
            receive(self, connection, shown)
            if life.heard_at is None:
                life.heard_at = self.loop.time()
                self.tell(f"a webhook says that {life.screening_id} is completed")

    async def _churn(self):
        mine = []
        while self.chances.churn and self.loop.time() < self.chances.lasts:
            await asyncio.sleep(self.dice.expovariate(self.chances.churn))
            if mine and self.dice.random() < 0.5:
                self.sandbox.delete(mine.pop(self.dice.randrange(len(mine))))
            else:
                mine += self._others(self.dice.choice([1, 1, 1, 5, 15]))

    async def _trouble(self):
        dice, ends_at = self.dice, self.chances.trouble_lasts
        while (left := ends_at - self.loop.time()) > 0:
            await asyncio.sleep(min(left, dice.uniform(0, 150)))
            left = ends_at - self.loop.time()
            lasts = min(left, dice.choice([1, 20, 100, 400]))
            match dice.choice(["service", "service", "store", "my store", "kill", "kill", "key"]):
                case "service":
                    kind, options = dice.choice(TROUBLES)
                    await self._fail(lasts, kind, **options)
                case "key" if dice.random() < 0.5:
                    self.revoked_at.append(self.loop.time())
                    await self._fail(lasts, "error", status=401)
                    self.revoked_at.append(self.loop.time())
                case "store":
                    self._away.append((self.loop.time(), self.loop.time() + lasts, None))
                case "my store":
                    whose = f"triggerer {dice.randrange(1, 5)}"
                    self._away.append((self.loop.time(), self.loop.time() + lasts, whose))
                case "kill":
                    await self.airflow.kill_triggerer(min(left, dice.choice([0, 5, 60, 200])))
        self.tell("the trouble ends")

    async def _fail(self, seconds, kind, **options):
        self.tell(f"PihuPulse fails for {seconds:.0f} s: {kind} {options}")
        self.sandbox.fail(kind, **options)
        await asyncio.sleep(seconds)
        self._heal()

    def _heal(self):
        """End what has failed for a while; what always fails goes on to."""
        self.sandbox.heal()
        for life in list(self.lives.values())[: self.chances.broken]:
            self.sandbox.fail("error", status=500, path=f"/candidates/{life.candidate_id}")

    async def _restart(self):
        """Have a triggerer die when all else is well."""
        for _ in range(self.chances.restarts):
            await asyncio.sleep(max(0.0, self.calm_from - self.loop.time()) + self.dice.uniform(0, 300))
            began = self.loop.time()
            await self.airflow.kill_triggerer(self.dice.choice([0, 5, 60, 200]))
            self.restarts.append((began, self.loop.time()))

    async def _wait(self, number):
        await asyncio.sleep(
            self.dice.choice([0, 0, self.dice.uniform(0, 10), self.dice.uniform(0, self.chances.lasts)])
        )
        wait = Wait.draw(self, number)
        self.waits.append(wait)
        while True:
            self.tell(f"{wait} begins")
            wait.began_at = self.loop.time()
            task = Task(self, wait)
            wait.task = self.run_in(task.process, task.run())
            await asyncio.wait([wait.task], timeout=wait.cleared_after)
            if wait.task.done():
                break
            wait.task.cancel()
            await asyncio.gather(wait.task, return_exceptions=True)
            wait.cleared_after = None
        if not wait.task.cancelled():
            wait.ended_at = self.loop.time()
            self.tell(f"{wait} ends: {wait.task.exception() or Counter(one.status for one in wait.task.result())}")

    def _watch_rounds(self, patch):
        run = shared_poller.run_round_async

        async def counted(client, round_, progress):
            started = self.loop.time()
            await run(client, round_, progress)
            pages = round_._positions.total_pages or 1
            # Whose candidate is not known, or can't be read, may be on any page.
            is_anywhere = round_.error is not None or None in round_._owner_of.values()
            cheapest = pages if is_anywhere else min(round_._owners, pages)
            self.rounds.append((started, round_.sent, cheapest))

        patch.setattr(shared_poller, "run_round_async", counted)


def play(number: int) -> tuple[History, str | None]:
    """Play a history; return it, and what is wrong in the end."""
    with pytest.MonkeyPatch.context() as patch:
        history = History(number, patch)
        with told_log(history.tell):
            wrong = history.play()
    return history, in_words(wrong)


if __name__ == "__main__":
    sys.exit(play_many(play, __doc__))
