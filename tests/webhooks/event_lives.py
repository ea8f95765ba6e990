"""The candidates and screenings of a history, which come, go on and go, and the webhooks that tell of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pihupulse_provider.api.events import WebhookEvent
from pihupulse_provider.store.inbox import Delivery, Inbox
from tests.waiting.triggerers import CONNECTION
from tests.webhooks.event_expectations import Stage


class Lives:
    """What happens in PihuPulse."""

    def __init__(self, history: Any) -> None:
        self._history = history

    def _reach(self, name, subject, *, at=None):
        self._history.stages.append(Stage(name, subject, self._history.loop.time() if at is None else at))
        if at is None:
            self._history.tell(f"{name} of {subject}")
            if self._history.dice.random() < self._history.chances.webhooks:
                self._history.serve(self._deliver(name, subject))

    async def _deliver(self, name, subject):
        kind = "candidate_id" if name == "candidate.created" else "screening_id"
        body = json.dumps({"event": name, "data": {kind: subject, "by": "webhook"}}).encode()
        for _ in range(self._history.dice.choice([1, 1, 2])):
            await asyncio.sleep(self._history.dice.choice([0, 0.5, self._history.dice.uniform(0, 60)]))
            while self._history.is_store_away(writes=True):
                await asyncio.sleep(5)
            Inbox(self._history.store).append([Delivery(CONNECTION, WebhookEvent.parse(body), body)])

    def insert_old(self):
        self._history.ago = 500.0
        for _ in range(self._history.chances.old):
            self._create(at=-self._history.ago)
        self._history.ago = 0.0

    def _create(self, at=None):
        (candidate,) = self._history.sandbox.insert_candidates(1)
        (screening,) = self._history.sandbox.insert_screenings([candidate])
        self._history.sandbox.put(screening, "pending")
        self._reach("candidate.created", candidate, at=at)
        self._reach("screening.created", screening, at=at)
        self._history.awaited += [
            (name, screening) for name in ("screening.started", "screening.completed", "report.generated")
        ]
        if at is None:
            self._history.awaited += [("candidate.created", candidate), ("screening.created", screening)]
        return screening

    async def play(self):
        olds = [stage.subject for stage in self._history.stages if stage.name == "screening.created"]
        self._history.dice.shuffle(olds)
        lives = [self._life(one) for one in olds[: self._history.chances.subjects]]
        lives += [self._life(None) for _ in range(self._history.chances.subjects)]
        # Those leave while the lists are read first.
        others = olds[self._history.chances.subjects :]
        lives += [self._leave(one) for one in others if self._history.dice.random() < self._history.chances.deletes]
        await asyncio.gather(*[self._history.run_in(None, life) for life in lives])

    async def _life(self, screening):
        dice, lasts = self._history.dice, self._history.chances.lasts
        moments = sorted(dice.uniform(0.1, lasts) for _ in range(4))
        if screening is None:
            await asyncio.sleep(moments[0])
            screening = self._create()
        is_started = False
        if dice.random() < 0.7:
            await asyncio.sleep(max(0.0, moments[1] - self._history.loop.time()))
            self._history.sandbox.put(screening, "in_progress")
            self._reach("screening.started", screening)
            is_started = True
        await asyncio.sleep(max(0.0, moments[2] - self._history.loop.time()))
        if dice.random() < 0.7:
            self._history.sandbox.complete(screening, dice.randrange(100))
            for name in ("screening.started",) * (not is_started) + ("screening.completed", "report.generated"):
                self._reach(name, screening)
        elif dice.random() < 0.5:
            self._history.sandbox.put(screening, "expired")
        await asyncio.sleep(max(0.0, moments[3] - self._history.loop.time()))
        if dice.random() < self._history.chances.deletes:
            self._delete(screening)

    async def _leave(self, screening):
        await asyncio.sleep(self._history.dice.uniform(0, 3))
        self._delete(screening)

    def _delete(self, screening):
        self._history.sandbox.delete(screening)
        self._history.tell(f"{screening} is deleted")
        for stage in self._history.stages:
            if stage.subject == screening:
                stage.gone_at = self._history.loop.time()
