"""What a history of waits is like, and what may go wrong in it."""

from __future__ import annotations

import random
from dataclasses import dataclass

TROUBLES = (
    ("error", {"status": 503}),
    ("error", {"status": 500, "probability": 0.5}),
    ("html", {}),
    ("html", {"status": 200}),
    ("rate_limited", {}),
    ("rate_limited", {"probability": 0.5}),
    ("empty", {}),
    ("drop", {"probability": 0.7}),
    ("truncated", {}),
    ("cut", {}),
    ("error", {"status": 500, "path": "/screenings"}),
    ("error", {"status": 500, "path": "/candidates/*1"}),
)


@dataclass
class Chances:
    """What a history is like.

    :ivar lasts: seconds in which screenings end. ``trouble_lasts``: in which there is trouble, from the start.
    :ivar per_candidate: how many screenings a candidate has at the most.
    :ivar churn: how many screenings others create and delete a second.
    :ivar slowest: seconds that a request takes on its way at the most, there and back each.
    :ivar broken: of how many screenings the candidate's details can never be read.
    :ivar restarts: how many triggerers die when all else is well.
    """

    screenings: int
    per_candidate: int
    others: int
    order: str
    plan: dict[str, int]
    waits: int
    triggerers: int
    lasts: float
    trouble_lasts: float
    webhooks: bool
    heard: float
    share_lost: float
    slowest: float
    churn: float
    store_apart: float
    service_apart: float
    shares_limit: bool
    broken: int
    restarts: int

    @classmethod
    def draw(cls, dice: random.Random) -> Chances:
        lasts = dice.choice([100, 400, 1000])
        return cls(
            screenings=dice.choice([1, 3, 12, 40, 120]),
            per_candidate=dice.choice([1, 1, 3, 30]),
            others=dice.choice([0, 0, 7, 60, 150]),
            order=dice.choice(["oldest-first", "newest-first"]),
            plan=dice.choice([{}, {"requests_per_minute": 300, "burst": 450}, {"requests_per_minute": 100}]),
            waits=dice.choice([1, 2, 5, 15]),
            triggerers=dice.choice([1, 1, 2, 3]),
            lasts=lasts,
            trouble_lasts=dice.choice([0, lasts / 2, lasts]),
            webhooks=dice.random() < 0.6,
            heard=dice.choice([1.0, 1.0, 0.9, 0.5, 0.0]),
            share_lost=dice.choice([0, 0.02, 0.1, 0.3]),
            slowest=dice.choice([0.01, 0.1, 0.5]),
            churn=dice.choice([0, 0, 0.02, 0.3]),
            store_apart=dice.choice([0, 0, 5, -5, 600, -3600]),
            service_apart=dice.choice([0, 0, 0, 3, -3, 300, -7200]),
            shares_limit=dice.random() < 0.5,
            broken=dice.choice([0, 0, 0, 1]),
            restarts=dice.choice([0, 0, 1, 2]),
        )
