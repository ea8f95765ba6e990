"""The connections of a client, most of all of that for an event loop: what goes over them, and what becomes of them."""

from __future__ import annotations

import asyncio
import gc
import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pihupulse_provider.api import (
    Account,
    AsyncClient,
    Client,
    MemoryRateLimit,
    NewCandidate,
    NotSentError,
    PihuPulseError,
    Plan,
    RetryPolicy,
    endpoints,
)
from pihupulse_provider.api.async_client import run_to_end
from pihupulse_provider.sandbox import Sandbox
from tests.api.tls import HOST, make_certificate, relay

JANE = NewCandidate(name="Jane Smith", email="jane.smith@example.com")
ONCE = RetryPolicy(attempts=1)
EMPTY_LIST = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"data": []}'


_NO_LIMIT = MemoryRateLimit(Plan(1_000_000, 1_000_000))


def _list_templates(account: Account, times: int) -> list[type[Exception]]:
    caught = []
    with Client(account, retry=ONCE) as client:
        for _ in range(times):
            with pytest.raises(PihuPulseError) as error:
                client.list_templates()
            caught.append(error.type)
    return caught


def _list_templates_in_an_event_loop(account: Account, times: int) -> list[type[Exception]]:
    async def list_them() -> list[type[Exception]]:
        caught = []
        async with AsyncClient(account, retry=ONCE) as client:
            for _ in range(times):
                with pytest.raises(PihuPulseError) as error:
                    await client.list_templates()
                caught.append(error.type)
        return caught

    return run_to_end(list_them())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "certificate.pem")


async def test_request_that_is_given_up_at_whatever_moment_leaves_no_connection_open(account: Account) -> None:
    """Such as the look-ups that are on their way when another has found it. Python warns of one, which fails this."""
    for turns in range(40):
        async with AsyncClient(account) as client:
            request = asyncio.ensure_future(client.list_templates())
            for _ in range(turns):
                await asyncio.sleep(0)
            request.cancel()
            with suppress(asyncio.CancelledError):
                await request
        gc.collect()


async def test_nobody_has_a_turn_between_the_last_look_and_the_sending() -> None:
    """Else a worker that is stopped in that turn sends, when it goes on, what another has sent meanwhile."""
    sent_by_the_next_turn: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        account = Account("key", f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.6)
        connections: list[socket.socket] = []

        def look_at_what_came() -> None:
            connections.append(listener.accept()[0])
            sent_by_the_next_turn.append(connections[0].recv(65536))

        async def last_look() -> float:
            nonlocal looks
            looks += 1
            if looks == 3:  # before there is a connection, before the head, before the body
                asyncio.get_running_loop().call_soon(look_at_what_came)
            return math.inf

        looks = 0
        async with AsyncClient(account, retry=ONCE) as client:
            with pytest.raises(Exception, match="it took too long"):
                await client.run(endpoints.create_candidate(JANE), before_send=last_look)
        connections[0].close()
    assert b"jane.smith@example.com" in sent_by_the_next_turn[0]


@pytest.mark.parametrize("proxy", [None, "http", "https"])
async def test_encrypted_requests_arrive_directly_and_through_proxies(
    sandbox: Sandbox, certificate: Path, monkeypatch: pytest.MonkeyPatch, proxy: str | None
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # which is how a proxy's is told
    async with (
        relay(sandbox.port, certificate) as port,
        relay(port, certificate if proxy == "https" else None, is_proxy=True) as proxy_port,
    ):
        address = f"https://localhost:{port}/v1" if proxy is None else f"https://{HOST}/v1"
        through = None if proxy is None else f"{proxy}://localhost:{proxy_port}"
        account = Account(sandbox.api_key, address, verify=str(certificate), proxy=through, timeout=5)
        async with AsyncClient(account) as client:
            created = await client.create_candidate(JANE)
            assert created.id in {one.id async for one in client.iter_candidates()}


async def test_certificate_that_nobody_vouches_for_is_refused_and_nothing_sent(
    sandbox: Sandbox, certificate: Path
) -> None:
    before = len(sandbox.requests)
    async with relay(sandbox.port, certificate) as port:
        account = Account(sandbox.api_key, f"https://localhost:{port}/v1", timeout=5)
        async with AsyncClient(account, retry=ONCE) as client:
            with pytest.raises(NotSentError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.list_templates()
    assert len(sandbox.requests) == before


@pytest.mark.parametrize("send", [_list_templates, _list_templates_in_an_event_loop])
async def test_tunnels_that_come_to_nothing_leave_room_for_the_next(
    sandbox: Sandbox, certificate: Path, send: Callable[[Account, int], list[type[Exception]]]
) -> None:
    """Such as through a proxy that looks into everything, and whose certificate nobody was told of."""
    async with relay(sandbox.port, certificate) as port, relay(port, is_proxy=True) as proxy_port:
        account = Account("key", f"https://{HOST}/v1", proxy=f"http://localhost:{proxy_port}", timeout=5)
        caught = await asyncio.wait_for(asyncio.to_thread(send, account, 20), 20)
    assert caught == [NotSentError] * 20


async def test_requests_that_wait_for_a_connection_of_the_client_are_not_late(
    sandbox: Sandbox, account: Account
) -> None:
    """Sixteen go at once; the time that a request may take begins when it goes."""
    sandbox.fail("latency", seconds=0.5)
    async with AsyncClient(replace(account, timeout=1.2), limit=_NO_LIMIT, retry=ONCE) as client:
        assert len(await asyncio.gather(*(client.list_templates() for _ in range(96)))) == 96


async def test_service_that_accepts_no_connection_in_time_was_sent_nothing() -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):  # a full queue lets the next one wait
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        account = Account("key", f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)
        async with AsyncClient(account, retry=ONCE) as client:
            with pytest.raises(NotSentError, match="no connection in time"):
                await client.create_candidate(JANE)


@pytest.mark.parametrize(
    "afterwards",
    [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", EMPTY_LIST],
    ids=["closed", "too late", "once more"],
)
async def test_connection_that_the_service_closed_or_wrote_to_meanwhile_is_not_used_again(afterwards: bytes) -> None:
    """A create over it would be lost, or get a response that is not its own."""
    body = b'{"data": {"id": "c1", "name": "Jane Smith", "email": "jane.smith@example.com"}}'
    created = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with _service([EMPTY_LIST + afterwards, created]) as (address, has_closed):
        async with AsyncClient(Account("key", address, timeout=5), retry=ONCE) as client:
            assert await client.list_templates() == []
            has_closed.wait()  # the event loop learns nothing of it
            assert (await client.create_candidate(JANE)).id == "c1"


@contextmanager
def _service(responses: list[bytes]) -> Iterator[tuple[str, threading.Event]]:
    """Give each response on a connection of its own, then close that; yield the base URL, and whether one is closed."""
    has_closed = threading.Event()

    def serve(listener: socket.socket) -> None:
        for response in responses:
            connection, _ = listener.accept()
            with connection:
                while b"\r\n\r\n" not in connection.recv(65536):
                    pass
                connection.sendall(response)
            has_closed.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", has_closed
        thread.join(5)
