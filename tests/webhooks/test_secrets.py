"""Secrets: a rotated one works from its first delivery, and forgers can't make them be read for each try."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from pihupulse_provider.webhooks.signature import SecretCache, SecretsUnavailableError


class World:
    """A clock that only sleeping moves, and a place that secrets are read from."""

    def __init__(self, *secrets: str) -> None:
        self.now = 1000.0
        self.secrets = list(secrets)
        self.readings: list[float] = []
        self.is_away = False
        self.cache = SecretCache("pihupulse_default", self.load, clock=lambda: self.now, sleep=self.sleep)

    def load(self) -> list[str]:
        self.readings.append(self.now)
        if self.is_away:
            raise OSError("the vault is away: secret=hunter2")
        return list(self.secrets)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def test_deliveries_share_one_reading():
    world = World("a")
    assert [await world.cache.current() for _ in range(100)] == [("a",)] * 100
    assert len(world.readings) == 1


async def test_a_secret_taken_off_the_list_stops_working_within_its_lifetime():
    world = World("old", "new")
    assert await world.cache.current() == ("old", "new")
    world.secrets = ["new"]
    world.now += 30.5
    assert await world.cache.current() == ("new",)


async def test_a_new_secret_is_known_to_the_first_delivery_that_it_signed():
    world = World("old")
    await world.cache.current()
    world.now += 0.2
    world.secrets = ["new"]
    assert await world.cache.newer_than(world.now) == ("new",)


async def test_forgers_cause_at_most_one_reading_a_second():
    world = World("a")
    await world.cache.current()
    for _ in range(50):
        await asyncio.gather(*(world.cache.newer_than(world.now) for _ in range(200)))
        world.now += 0.001
    assert min(later - earlier for earlier, later in pairwise(world.readings)) >= 1
    assert len(world.readings) <= 51


async def test_while_they_cannot_be_read_the_known_ones_count_for_ten_minutes():
    world = World("a")
    await world.cache.current()
    world.is_away = True
    world.now += 620
    assert await world.cache.current() == ("a",)
    with pytest.raises(SecretsUnavailableError):
        await world.cache.newer_than(world.now)
    world.now += 20
    with pytest.raises(SecretsUnavailableError):
        await world.cache.current()
    world.is_away = False
    world.now += 1
    assert await world.cache.current() == ("a",)


async def test_a_failure_is_logged_once_and_without_what_the_backend_said(caplog: pytest.LogCaptureFixture):
    world = World("a")
    world.is_away = True
    for _ in range(5):
        with pytest.raises(SecretsUnavailableError):
            await world.cache.current()
        world.now += 2
    (record,) = caplog.records
    assert record.getMessage() == "The webhook secrets of connection pihupulse_default can't be read: OSError"


async def test_who_gives_up_waiting_does_not_take_the_reading_from_others():
    world = World("a")
    impatient = asyncio.create_task(world.cache.current())
    patient = asyncio.create_task(world.cache.current())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == ("a",)
