"""Clients that are used after they were closed."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from pihupulse_provider.api import Account, AsyncClient, Client, ClientClosedError, MemoryRateLimit
from tests.api.drivers import KEY, Clock, Service

ACCOUNT = Account(KEY)
PAGE = httpx.Response(200, json={"data": []})


def test_closed_client_takes_no_slot_and_sends_nothing() -> None:
    service, limit = Service(PAGE), MemoryRateLimit(clock=Clock())
    with Client(ACCOUNT, limit=limit, transport=httpx.MockTransport(service)) as client:
        assert not client.is_closed
    before = limit.state

    with pytest.raises(ClientClosedError, match="GET /templates was not sent: this client was closed") as caught:
        client.list_templates()

    assert client.is_closed
    assert caught.value.permanent
    assert not caught.value.may_have_happened
    assert limit.state == before
    assert service.requests == []


async def test_closed_client_of_an_event_loop_takes_no_slot_and_sends_nothing() -> None:
    service, limit = Service(PAGE), MemoryRateLimit(clock=Clock())
    async with AsyncClient(ACCOUNT, limit=limit, transport=httpx.MockTransport(service)) as client:
        assert not client.is_closed
    before = limit.state

    with pytest.raises(ClientClosedError, match="GET /templates was not sent: this client was closed"):
        await client.list_templates()

    assert client.is_closed
    assert limit.state == before
    assert service.requests == []


def test_client_that_another_thread_closes_while_it_waits_for_its_slot() -> None:
    service, clock = Service(PAGE), Clock()
    client = Client(
        ACCOUNT,
        limit=MemoryRateLimit(clock=clock),
        transport=httpx.MockTransport(service),
        sleep=lambda seconds: (clock.sleep(seconds), client.close())[0],
    )

    with pytest.raises(ClientClosedError):
        _ask_until_it_waits(client)

    assert service.requests


def _ask_until_it_waits(client: Client) -> None:
    for _ in range(1000):
        client.list_templates()


async def test_client_that_another_task_closes_while_it_waits_for_its_slot() -> None:
    service, clock = Service(PAGE), Clock()

    async def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        await client.close()

    limit = MemoryRateLimit(clock=clock)
    client = AsyncClient(ACCOUNT, limit=limit, transport=httpx.MockTransport(service), sleep=sleep)

    with pytest.raises(ClientClosedError):
        await asyncio.gather(*(client.list_templates() for _ in range(1000)))

    assert service.requests


async def test_closing_while_all_connections_are_in_use() -> None:
    """Whoever waits for its turn then sends nothing."""
    release = asyncio.Event()

    async def answer(_request: httpx.Request) -> httpx.Response:
        await release.wait()
        return httpx.Response(200, json={"data": []})

    limit = MemoryRateLimit(clock=Clock())
    client = AsyncClient(ACCOUNT, limit=limit, transport=httpx.MockTransport(answer))
    running = [asyncio.ensure_future(client.list_templates()) for _ in range(17)]
    while client.requests_sent < 16:
        await asyncio.sleep(0)
    await client.close()
    release.set()

    found = await asyncio.gather(*running, return_exceptions=True)

    assert [type(one) for one in found if one != []] == [ClientClosedError]
