"""What a history of events is like, and what may go wrong in it."""

from __future__ import annotations

import random
from dataclasses import dataclass

SLOW = ({"seconds": 20.0}, {"seconds": 100.0}, {"seconds": 100.0, "probability": 0.5})


@dataclass
class Chances:
    """What a history is like.

    :ivar interval: seconds between two readings for the asset trigger that follows all.
    :ivar old: how many screenings there are from before.
    :ivar deletes: the share of the subjects that are deleted.
    """

    lasts: float
    trouble_lasts: float
    interval: int
    order: str
    plan: dict[str, int]
    old: int
    subjects: int
    deletes: float
    assets: int
    sensors: int
    consumers: int
    triggerers: int
    webhooks: float
    share_lost: float
    share_failing: float
    slowest: float
    kills: bool
    seeks: bool
    clock_set: bool
    replaced: str | None
    service_apart: float

    @classmethod
    def draw(cls, dice: random.Random) -> Chances:
        lasts = dice.choice([60, 200, 400])
        return cls(
            lasts=lasts,
            trouble_lasts=dice.choice([0, lasts / 2, lasts]),
            interval=dice.choice([5, 20]),
            order=dice.choice(["oldest-first", "newest-first"]),
            plan=dice.choice([{}, {}, {"requests_per_minute": 300, "burst": 450}]),
            old=dice.choice([0, 5, 35, 80]),
            subjects=dice.choice([1, 5, 20, 40]),
            deletes=dice.choice([0, 0, 0.1, 0.4]),
            assets=dice.choice([1, 1, 2]),
            sensors=dice.choice([0, 2, 6, 20]),
            consumers=dice.choice([0, 1, 2]),
            triggerers=dice.choice([1, 1, 2]),
            webhooks=dice.choice([0, 0.5]),
            share_lost=dice.choice([0, 0.02, 0.1]),
            share_failing=dice.choice([0, 0, 0.02]),
            slowest=dice.choice([0.01, 0.1, 0.5]),
            kills=dice.random() < 0.5,
            seeks=dice.random() < 0.2,
            clock_set=dice.random() < 0.1,
            replaced=dice.choice([None] * 8 + ["empty", "older"]),
            service_apart=dice.choice([0, 0, 0, 3, -3]),
        )
