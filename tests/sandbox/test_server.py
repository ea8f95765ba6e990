"""The HTTP of the server itself, byte by byte."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.sandbox.clients import ALEX, client_of

GET = b"GET /v1/templates HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pp_sandbox\r\n"


def exchange(sandbox: Sandbox, *pieces: bytes) -> bytes:
    """Send the pieces and return everything that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_pipelined_requests_are_answered_in_order_although_the_first_is_late() -> None:
    with Sandbox() as sandbox:
        sandbox.fail_next("latency", seconds=0.05)
        last = GET.replace(b"templates", b"nowhere") + b"Connection: close\r\n\r\n"
        responses = exchange(sandbox, GET + b"\r\n" + last)
    assert responses.index(b"200 OK") < responses.index(b"404 Not Found")


def test_a_request_may_come_in_pieces_and_chunks() -> None:
    head = b"POST /v1/candidates HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pp_sandbox\r\n"
    rest = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    parts = (b'{"name":"A', b'","email":"a@example.c', b'o"}', b"")
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in parts]
    with Sandbox() as sandbox:
        assert b"201 Created" in exchange(sandbox, head[:20], head[20:], rest, *chunks)
        assert sandbox.candidates[0]["email"] == "a@example.co"


def test_a_client_that_asks_may_go_on() -> None:
    with Sandbox() as sandbox:
        request = GET + b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
        assert exchange(sandbox, request).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


@pytest.mark.parametrize("garbage", [b"nonsense\r\n\r\n", GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"])
def test_what_is_not_a_plain_request_is_refused(garbage: bytes) -> None:
    with Sandbox() as sandbox:
        assert b"400 Bad Request" in exchange(sandbox, garbage)


def test_head_has_no_body() -> None:
    with Sandbox() as sandbox, client_of(sandbox) as client:
        response = client.head("/templates")
        assert (response.status_code, response.content) == (405, b"")
        assert client.get("/templates").status_code == 200


def test_many_clients_at_once_get_different_ids() -> None:
    with Sandbox() as sandbox, client_of(sandbox) as client, ThreadPoolExecutor(8) as pool:
        responses = pool.map(lambda _: client.post("/candidates", json=ALEX), range(200))
        assert len({response.json()["data"]["id"] for response in responses}) == 200


def test_the_port_is_free_again_after_the_end() -> None:
    with Sandbox() as first, client_of(first) as client:
        client.get("/templates")
        port = first.port
    with Sandbox(port=port) as second, client_of(second) as client:
        assert client.get("/templates").status_code == 200


def test_a_taken_port_is_named() -> None:
    with Sandbox() as first, pytest.raises(RuntimeError, match=f"Port {first.port} on 127.0.0.1 is taken"):
        Sandbox(port=first.port).__enter__()


async def test_an_async_client_reaches_it_without_a_port(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {sandbox.api_key}"}
    async with httpx.AsyncClient(base_url=sandbox.base_url, transport=sandbox.transport(), headers=headers) as client:
        responses = await asyncio.gather(*(client.post("/candidates", json=ALEX) for _ in range(5)))
    assert {response.status_code for response in responses} == {201}
    assert len(sandbox.requests) == 5
