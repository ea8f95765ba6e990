"""Group commit: deliveries that wait share a transaction, and each learns what became of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from pihupulse_provider.api.events import WebhookEvent
from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.store.inbox import Delivery
from pihupulse_provider.webhooks.group_commit import GroupCommit, InboxBusyError
from tests.webhooks.deliveries import completed


class Store:
    """Takes deliveries when it is let, and remembers the groups."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.error: Exception | None = None
        self.is_open = threading.Event()

    def append(self, deliveries: Sequence[Delivery]) -> list[bool]:
        self.is_open.wait()
        self.groups.append(len(deliveries))
        if self.error is not None:
            raise self.error
        return [delivery.event.screening_id != "known" for delivery in deliveries]


def delivery(screening_id: str = "s1") -> Delivery:
    body = completed(screening_id)
    return Delivery("pihupulse_default", WebhookEvent.parse(body), body)


async def test_what_arrives_during_a_commit_shares_the_next():
    store = Store()
    writer = GroupCommit(store.append, largest=6)
    waiting = [asyncio.create_task(writer.store(delivery())) for _ in range(1)]
    await asyncio.sleep(0.05)
    waiting += [asyncio.create_task(writer.store(delivery(name))) for name in ["s2", "known"] + ["s3"] * 8]
    await asyncio.sleep(0.05)
    store.is_open.set()
    assert await asyncio.gather(*waiting) == [True, True, False] + [True] * 8
    assert store.groups == [1, 6, 4]
    await writer.close()


async def test_a_failure_reaches_everyone_in_the_group_and_nobody_after_it(caplog: pytest.LogCaptureFixture):
    store = Store()
    store.is_open.set()
    store.error = StoreError("The disk is full.")
    writer = GroupCommit(store.append)
    results = await asyncio.gather(*(writer.store(delivery()) for _ in range(5)), return_exceptions=True)
    assert results == [store.error] * 5
    assert len(caplog.records) == 1
    store.error = None
    assert await writer.store(delivery()) is True
    await writer.close()


async def test_more_than_may_wait_are_refused_at_once():
    store = Store()
    writer = GroupCommit(store.append, most_waiting=3, largest=1)
    first = asyncio.create_task(writer.store(delivery()))
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(writer.store(delivery())) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(InboxBusyError):
        await writer.store(delivery())
    store.is_open.set()
    assert await asyncio.gather(first, *waiting) == [True] * 4
    await writer.close()


async def test_a_sender_that_went_away_disturbs_nobody():
    store = Store()
    writer = GroupCommit(store.append)
    gone, stays = (asyncio.create_task(writer.store(delivery())) for _ in range(2))
    await asyncio.sleep(0.05)
    gone.cancel()
    store.is_open.set()
    assert await stays is True
    await writer.close()


async def test_a_commit_that_hangs_sends_everyone_away_in_time(caplog: pytest.LogCaptureFixture):
    store = Store()
    writer = GroupCommit(store.append, largest=2, patience=0.5)
    results = await asyncio.gather(*(writer.store(delivery()) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [InboxBusyError] * 5
    with pytest.raises(InboxBusyError):
        await writer.store(delivery())
    store.is_open.set()
    async with asyncio.timeout(10):
        while not store.groups:
            await asyncio.sleep(0.01)
    assert await writer.store(delivery()) is True
    await writer.close()
