"""What a wait has to end in, and when at the latest."""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass, field
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from pihupulse_provider.api.errors import UnauthorizedError
from pihupulse_provider.triggers.waiting import BACKSTOP, ScreeningFailedError
from pihupulse_provider.waiting.wait_spec import NOT_FOUND, WaitSpec
from pihupulse_provider.waiting.wait_state import GRACE

PAGE = 10
PATIENCE = 5.0
"""How much longer than its interval a wait is not polled while webhooks come."""
HEARD_WITHIN = 5.0
"""Seconds after which a webhook has ended a wait: the inbox is read once a second here."""


@dataclass
class Life:
    """A screening, and how it ends."""

    screening_id: str
    candidate_id: str
    ends_at: float
    end: str
    heard_at: float | None = None

    @classmethod
    def draw(cls, dice: random.Random, screening_id: str, candidate_id: str, chances: Any) -> Life:
        end = dice.choice(["completed"] * 12 + ["failed", "expired", "reviewing", "pending", "deleted"])
        return cls(screening_id, candidate_id, dice.uniform(0, chances.lasts), end)


@dataclass
class Wait:
    """A wait, and what came of it.

    :ivar began_at: when the task that waits now began. ``cleared_after``: seconds after which it is cleared.
    """

    name: str
    spec: WaitSpec
    deferrable: bool
    hears: bool
    cleared_after: float | None
    began_at: float = 0.0
    ended_at: float | None = None
    task: asyncio.Task[Any] | None = field(default=None, repr=False)

    @classmethod
    def draw(cls, history: Any, number: int) -> Wait:
        dice, ids = history.dice, list(history.lives)
        mine = dice.sample(ids, dice.choice([1, min(len(ids), 3), dice.randrange(1, len(ids) + 1)]))
        knows = dice.random() < 0.7
        limit = dice.choice([None, dice.uniform(10, 2 * history.chances.lasts)])
        is_deadline = dice.random() < 0.4
        extra = dice.choice(
            [{}, {}, {"succeeded_statuses": ("completed", "reviewing")}, {"failed_statuses": ("expired",)}]
        )
        spec = WaitSpec(
            {one: history.lives[one].candidate_id if knows else None for one in mine},
            0.0,
            wait_for=dice.choice(["all", "all", "any", dice.randrange(1, len(mine) + 1), 0.5]),
            interval=float(dice.choice([5, 20, 60, 200])),
            exponential_backoff=dice.random() < 0.2,
            max_wait=dice.choice([None, 120.0]),
            timeout=None if is_deadline else limit,
            deadline=limit if is_deadline else None,
            **extra,
        )
        cleared = dice.choice([None, None, None, dice.uniform(0, 100)])
        return cls(f"wait {number}", spec, dice.random() < 0.8, dice.random() < 0.7, cleared)

    def __str__(self) -> str:
        spec, told = self.spec, ("wait_for", "interval", "exponential_backoff", "timeout", "deadline")
        how = {name: value for name in told if (value := getattr(spec, name)) is not None}
        return f"{self.name} for {len(spec.screenings)} ({'deferred' if self.deferrable else 'poking'}, {how})"

    def meaning(self, status: str) -> str:
        """Return what a status means for it."""
        if status in self.spec.succeeded_statuses:
            return "succeeded"
        return "failed" if status in (*self.spec.failed_statuses, NOT_FOUND, "deleted") else "waiting"

    def latest_end(self, history: Any) -> float:
        """Return when it must have ended; infinite if it need not."""
        slack = self._slack(history)
        limit = math.inf
        if self.spec.limit is not None:
            limit = max(self.began_at + self.spec.limit + BACKSTOP.total_seconds(), history.calm_from) + slack
        return min(limit, self.decided_by(history))

    def decided_by(self, history: Any) -> float:
        """Return when it must have been seen to be decided, whatever its limit is."""
        lives = [history.lives[one] for one in self.spec.screenings]
        ends = [(self._known_by(life, history), self.meaning(life.end)) for life in lives]
        good = sorted(at for at, meaning in ends if meaning == "succeeded")
        bad = sorted(at for at, meaning in ends if meaning == "failed")
        needed, total = self.spec.needed, len(lives)
        success = good[needed - 1] if len(good) >= needed else math.inf
        if self.spec.deadline is not None:
            over = max(good + bad) if len(good) + len(bad) == total else math.inf
        else:
            over = bad[total - needed] if len(bad) > total - needed else math.inf
        return min(success, over)

    def _known_by(self, life: Life, history: Any) -> float:
        slack = self._slack(history)
        seen_from = max(life.ends_at, self.began_at, history.calm_from)
        pause = self.spec.interval
        if self.spec.exponential_backoff:
            pause = max(pause, min(seen_from - self.began_at, self.spec.max_wait or math.inf))
        known = seen_from + pause * (PATIENCE + 1 if history.chances.webhooks and self.deferrable else 2) + slack
        if self.deferrable:
            known += sum(up - down + pause for down, up in history.restarts if down - 60 <= known)
        if life.end == "deleted":
            return known + GRACE + pause
        if history.calm_from <= self.began_at and life.ends_at <= self.began_at:
            known = min(known, self.began_at + slack)
        heard = life.heard_at
        if heard is not None and self.deferrable and self.hears and heard >= history.calm_from:
            known = min(known, _awake(max(heard, self.began_at + slack), history) + HEARD_WITHIN)
        return known

    def _slack(self, history: Any) -> float:
        chances = history.chances
        rows = chances.screenings + chances.others + 200 * (chances.churn > 0)
        requests = 3 * min(math.ceil(rows / PAGE), chances.screenings) + 2
        rate = chances.plan.get("requests_per_minute", 6000)
        return 45.0 + requests * (4 * 60 / rate + chances.slowest)

    def wrong(self, history: Any) -> str | None:
        """Return what is wrong with how it ended; None if nothing is."""
        if self.ended_at is None:
            latest = self.latest_end(history)
            return None if latest == math.inf else f"had to end by {latest:.1f}, and has not"
        error = self.task.exception()
        if isinstance(error, UnauthorizedError):
            return None if history.revoked_at else "was refused"
        if self.ended_at > self.latest_end(history):
            return f"ended at {self.ended_at:.1f}, {self.ended_at - self.latest_end(history):.1f} s too late"
        elapsed = self.ended_at - self.began_at
        if isinstance(error, AirflowSensorTimeout):
            is_due = self.spec.timeout is not None and elapsed >= self.spec.timeout - 0.01
            return self._was_decided(history) if is_due else "timed out too early"
        if isinstance(error, ScreeningFailedError):
            return self._wrong_failure(error, history)
        return repr(error) if error is not None else self._wrong_success(history, elapsed)

    def _wrong_failure(self, error, history):
        wrong = {one: status for one, status in error.statuses.items() if not self._is_true(one, status, history)}
        if wrong:
            return f"failed for {wrong}"
        left = len(self.spec.screenings) - len(error.statuses)
        if self.spec.deadline is not None or left >= self.spec.needed:
            return "failed although it still might have succeeded"
        return None

    def _wrong_success(self, history, elapsed):
        seen = self.task.result()
        if [one.screening_id for one in seen] != list(self.spec.screenings):
            return "returned other screenings"
        ended = [one for one in seen if one.status is not None and self.meaning(one.status) != "waiting"]
        wrong = {one for one in ended if not self._is_true(one.screening_id, one.status, history)}
        if wrong:
            return f"ended for {wrong}"
        completed = sum(self.meaning(one.status) == "succeeded" for one in ended)
        if completed >= self.spec.needed or (self.spec.deadline is not None and len(ended) == len(seen)):
            return None
        is_over = self.spec.deadline is not None and elapsed >= self.spec.deadline - 0.01
        return self._was_decided(history) if is_over else f"succeeded with {completed}"

    def _was_decided(self, history):
        """Return what is wrong with an end by time: the last poll must have seen what was there at the limit."""
        at_limit = self.began_at + (self.spec.limit or 0.0)
        lives = [history.lives[one] for one in self.spec.screenings]
        good = sum(self.meaning(life.end) == "succeeded" and life.ends_at < at_limit for life in lives)
        is_missed = good >= self.spec.needed and at_limit >= history.calm_from
        return "ended by time although it was decided" if is_missed else None

    def _is_true(self, screening_id, status, history):
        life = history.lives[screening_id]
        return life.end == {NOT_FOUND: "deleted"}.get(status, status) and life.ends_at <= self.ended_at


def _awake(moment, history):
    """Return when the triggerers that died around a moment have been replaced."""
    return max([moment, *(up + 10 for down, up in history.restarts if down - 60 <= moment <= up + 60)])


def judge(history: Any) -> float:
    """Return until when the history has to be watched: all waits must have ended by then."""
    ends = [wait.latest_end(history) for wait in history.waits if wait.ended_at is None]
    return max([end for end in ends if end < math.inf], default=history.loop.time() - 1)
