"""The receiver by itself against whoever can reach its port: what they hold is bounded, and deliveries get through."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from pihupulse_provider.webhooks import SIGNATURE_HEADER
from tests.reliability.receivers import ReceiverProcess
from tests.webhooks.deliveries import completed, deliver, signed

MEGABYTE = 2**20


@contextmanager
def connected(process: ReceiverProcess, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", process.port), timeout=20, source_address=(source, 0)) as client:
        yield client


def flood(client: socket.socket, chunk: bytes, megabytes: int) -> int:
    """Send until so much is sent or the other side ends it, and return how many bytes went."""
    sent = 0
    try:
        while sent < megabytes * MEGABYTE:
            sent += client.send(chunk)
    except OSError:
        pass
    return sent


def response(client: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    received = b""
    try:
        while part := client.recv(65536):
            received += part
    except ConnectionError:
        pass
    return received


def is_closed(client: socket.socket, seconds: float) -> bool:
    client.settimeout(seconds)
    try:
        return client.recv(65536) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def head(process: ReceiverProcess, *headers: str) -> bytes:
    path = urlsplit(process.url).path
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("start", "chunk"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\n", b"X-Filler: " + b"x" * 1000 + b"\r\n"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nX-Filler: ", b"x" * 65536),
        (b"POST /", b"x" * 65536),
        (b"POST /?", b"x" * 65536),
        (b"", b"\r\n" * 1000),
        (
            b"POST /pihupulse/webhooks/pihupulse_default HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            + f"{SIGNATURE_HEADER}: {'0' * 64}\r\n\r\n1\r\nx\r\n0\r\n".encode(),
            b"X-Trailer: " + b"x" * 1000 + b"\r\n",
        ),
    ],
    ids=["headers", "one header", "URL", "query", "empty lines", "trailers"],
)
def test_no_request_grows_without_end(process: ReceiverProcess, start: bytes, chunk: bytes):
    memory = process.memory()
    with connected(process) as client:
        client.sendall(start)
        began = time.monotonic()
        sent = flood(client, chunk, 100)
        assert deliver(process.url, completed(f"after {len(start)} {len(chunk)}")).status_code == 202
        assert time.monotonic() - began < 10
    assert sent < 20 * MEGABYTE  # what the two kernels buffer counts as sent
    assert process.memory() - memory < 20 * MEGABYTE


def test_a_long_url_keeps_nobody_waiting(process: ReceiverProcess):
    with connected(process) as client:
        client.sendall(b"POST /")
        flood(client, b"x" * MEGABYTE, 96)
        began = time.monotonic()
        assert deliver(process.url, completed("beside a long URL")).status_code == 202
        assert time.monotonic() - began < 3


def test_a_head_that_comes_slowly_is_cut_off(process: ReceiverProcess):
    with connected(process) as silent, connected(process) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
        for _ in range(12):
            time.sleep(1)
            try:
                slow.sendall(b"X: y\r\n")
            except OSError:
                break
        assert response(slow).startswith(b"HTTP/1.1 408") or is_closed(slow, 1)
        assert is_closed(silent, 1)


def test_silent_connections_do_not_keep_deliveries_out(process: ReceiverProcess):
    with ExitStack() as opened:
        for number in range(1200):
            opened.enter_context(connected(process, f"127.0.0.{1 + number % 3}"))
        at_once = deliver(process.url, completed("among many at once"))
        assert at_once.status_code == 202 or "retry-after" in at_once.headers
        time.sleep(1.2)
        assert deliver(process.url, completed("among many")).status_code == 202


def test_one_peer_leaves_room_for_the_others(process: ReceiverProcess):
    with ExitStack() as opened:
        for _ in range(1100):
            opened.enter_context(connected(process, "127.0.0.2"))
        assert deliver(process.url, completed("of another peer")).status_code == 202


def test_who_is_turned_away_learns_when_to_come_again(process: ReceiverProcess):
    answer = next(filter(None, (last_of_many(process) for _ in range(10))))
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 5\r\n" in answer


def last_of_many(process: ReceiverProcess) -> bytes:
    """Return what the last of many connections gets: nothing if opening them took so long that an old one gave way."""
    with ExitStack() as opened:
        return response([opened.enter_context(connected(process, "127.0.0.4")) for _ in range(530)][-1])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({SIGNATURE_HEADER: "0" * 64}, 401),
        (signed(b"no event"), 400),
    ],
)
def test_who_is_refused_may_not_go_on(process: ReceiverProcess, headers: dict[str, str], status: int):
    body = b"no event"
    named = [f"{name}: {value}" for name, value in headers.items()]
    with connected(process) as client:
        client.sendall(head(process, f"Content-Length: {len(body)}", *named) + body)
        answer = response(client)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"connection: close\r\n" in answer.lower()


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["TLS", "no version", "HTTP/2", "CONNECT", "upgrade", "negative length", "no chunk", "bytes"],
)
def test_malformed_requests_do_not_fill_the_log(process: ReceiverProcess, request_: bytes):
    before = process.log.stat().st_size
    for _ in range(100):
        with connected(process) as client:
            client.sendall(request_)
            assert response(client)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404")
    assert process.log.stat().st_size - before < 1000
    assert deliver(process.url, completed(repr(request_))).status_code == 202


async def test_requests_that_do_not_wait_for_responses_are_few(process: ReceiverProcess):
    with connected(process) as client:
        client.sendall(b"GET /pihupulse/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 5000)
        received = await asyncio.to_thread(response, client)
    assert received.count(b"HTTP/1.1 200") < 50


def test_a_flood_of_requests_at_once_is_answered_in_order_and_fills_no_log(process: ReceiverProcess):
    health = b"GET /pihupulse/health HTTP/1.1\r\nHost: x\r\n\r\n"
    before = process.log.stat().st_size
    for _ in range(10):
        with connected(process) as client:
            flood(client, health * 3000, len(health) * 3000 // MEGABYTE + 1)
            answered = response(client)
        assert not answered or answered.startswith(b"HTTP/1.1 200 OK")
        assert b"400 Bad Request" not in answered
    assert process.log.stat().st_size - before < 1000


def test_a_trailing_slash_is_the_same_address(process: ReceiverProcess):
    assert deliver(process.url + "/", completed("slash")).status_code == 202
    assert httpx.get(f"http://127.0.0.1:{process.port}/pihupulse/health/").status_code == 200


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_delivery_that_offers_another_protocol_is_stored(process: ReceiverProcess, framing: str, at_once: bool):
    """As Java's HttpClient offers HTTP/2 with each request to a plain address."""
    body = completed(f"upgrade-{framing}-{at_once}")
    offer = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAB"]
    signature = f"{SIGNATURE_HEADER}: {signed(body)[SIGNATURE_HEADER]}"
    length = f"Content-Length: {len(body)}" if framing == "length" else "Transfer-Encoding: chunked"
    sent = body if framing == "length" else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    with connected(process) as client:
        for number in (1, 2):  # the connection goes on
            client.sendall(head(process, length, signature, *offer) + (sent if at_once else b""))
            if not at_once:
                time.sleep(0.2)
                client.sendall(sent)
            assert client.recv(65536).startswith(b"HTTP/1.1 202" if number == 1 else b"HTTP/1.1 200")


def test_requests_that_offer_another_protocol_are_few_at_once_too(process: ReceiverProcess):
    offering = b"GET /pihupulse/openapi.json HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with connected(process) as client:
        flood(client, offering * 5000, 1)
        assert response(client).count(b"HTTP/1.1 200") < 50
    assert deliver(process.url, completed("after offers")).status_code == 202


def test_spaces_around_a_signature_are_none_of_it(process: ReceiverProcess):
    body = completed("spaces")
    with connected(process) as client:
        signature = f"{SIGNATURE_HEADER}: \t{signed(body)[SIGNATURE_HEADER]} \t"
        client.sendall(head(process, f"Content-Length: {len(body)}", signature) + body)
        assert client.recv(65536).startswith(b"HTTP/1.1 202")
