"""Over a real network: a local PihuPulse on a port, and servers that do worse."""

from __future__ import annotations

import gc
import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from pihupulse_provider.api import (
    Account,
    AsyncClient,
    Client,
    ConfigurationError,
    NewCandidate,
    NewScreening,
    NoAnswerError,
    NotFoundError,
    NotSentError,
    PihuPulseError,
    RetryPolicy,
    UnauthorizedError,
)
from pihupulse_provider.api.async_client import run_to_end
from pihupulse_provider.api.transport import LONGEST_BODY
from pihupulse_provider.sandbox import Sandbox
from tests.servers import free_port

ONCE = RetryPolicy(attempts=1)
QUICK = RetryPolicy(base=0.01)
JANE = NewCandidate(name="Jane Smith", email="jane.smith@example.com")


@pytest.fixture(params=["blocking", "event loop"])
def read(request):
    def blocking(account):
        with Client(account, retry=ONCE) as client:
            client.list_candidates()

    def event_loop(account):
        async def once():
            async with AsyncClient(account, retry=ONCE) as client:
                await client.list_candidates()

        run_to_end(once())

    return blocking if request.param == "blocking" else event_loop


def test_every_endpoint_works(account: Account) -> None:
    with Client(account) as client:
        template = client.list_templates()[0]
        candidate = client.create_candidate(JANE)
        screening = client.create_screening(NewScreening(candidate_id=candidate.id, template_id=template.id))
        assert client.get_candidate(candidate.id).screenings[0].id == screening.id
        assert candidate.id in [one.id for one in client.iter_candidates(limit=1)]
        assert screening.id in [one.id for one in client.iter_screenings(limit=1)]
        assert client.get_report(screening.id).candidate_name == "Jane Smith"


async def test_every_endpoint_works_in_an_event_loop(account: Account) -> None:
    async with AsyncClient(account) as client:
        template = (await client.list_templates())[0]
        candidate = await client.create_candidate(JANE)
        screening = await client.create_screening(
            NewScreening(candidate_id=candidate.id, template_id=template.id, send_invitation=True)
        )
        assert (await client.get_candidate(candidate.id)).screenings[0].id == screening.id
        assert candidate.id in [one.id async for one in client.iter_candidates(limit=1)]
        assert screening.id in [one.id async for one in client.iter_screenings(limit=1)]
        assert (await client.get_report(screening.id)).screening_id == screening.id


def test_refusals_have_their_types(account: Account) -> None:
    with Client(account) as client, pytest.raises(NotFoundError):
        client.get_candidate("c0")
    with Client(Account("wrong", account.base_url)) as client, pytest.raises(UnauthorizedError, match="Settings → API"):
        client.list_templates()


@pytest.mark.parametrize("fault", ["drop", "cut", "truncated", "empty", "html", "error", "rate_limited"])
def test_list_is_read_all_the_same(sandbox: Sandbox, account: Account, fault: str) -> None:
    sandbox.fail_next(fault, times=1)

    with Client(account, retry=QUICK, sleep=lambda _seconds: None) as client:
        assert client.list_templates()


def test_slow_answer_is_a_lost_one(sandbox: Sandbox, account: Account) -> None:
    sandbox.fail("latency", seconds=0.5)

    hasty = Account(account.api_key, account.base_url, timeout=0.1)
    with Client(hasty, retry=ONCE) as client, pytest.raises(NoAnswerError, match="it took too long"):
        client.create_candidate(JANE)


def test_client_that_nobody_closed_closes_itself(account: Account) -> None:
    """Else Python warns of a socket, which fails this test."""
    client = Client(account)
    client.list_templates()

    del client
    gc.collect()


def test_refused_connection_was_not_sent() -> None:
    nowhere = Account("key", f"http://127.0.0.1:{free_port()}")
    with Client(nowhere, retry=ONCE) as client, pytest.raises(NotSentError, match="Connection refused"):
        client.create_candidate(JANE)


def test_bytes_that_are_no_http_are_not_repeated() -> None:
    """A proxy that loses count sends the rest of a body where the next answer's head should be."""
    caught = _fail_against(b'"name": "John Doe"\r\n\r\n', Account("key"))

    assert type(caught) is NoAnswerError
    assert "John" not in str(caught)


def test_proxy_that_refuses_sent_nothing_and_keeps_its_password() -> None:
    """The POST is safe to repeat: it never left the tunnel that was not made."""
    with _raw_server(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as address:
        proxy = address.removesuffix("/v1").replace("://", "://user:hunter2@")
        with Client(Account("key", proxy=proxy), retry=ONCE) as client, pytest.raises(NotSentError) as caught:
            client.create_candidate(JANE)

    assert "407" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_key_does_not_follow_a_redirect(sandbox: Sandbox) -> None:
    before = len(sandbox.requests)
    moved = f"HTTP/1.1 308 Moved\r\nLocation: {sandbox.base_url}/templates\r\nContent-Length: 0\r\n\r\n".encode()

    assert "Redirects are not followed" in str(_fail_against(moved, Account(sandbox.api_key)))
    assert len(sandbox.requests) == before


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Jane Smith is no good\r\nX-Echo: jane.smith@example.com\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://example.com/?q=Jane%20Smith\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nJane Smith\r\n",
        b"Jane Smith\r\n\r\n",
    ],
    ids=["reason phrase", "location", "chunk", "no HTTP"],
)
def test_no_log_repeats_what_a_response_says(read, caplog, answer):
    """Not those of httpx and httpcore either, in their DEBUG."""
    caplog.set_level("DEBUG")
    with _raw_server(answer) as address, pytest.raises(PihuPulseError):
        read(Account("key", address))
    assert "send_request_headers" in caplog.text
    assert "jane" not in caplog.text.casefold()


class TestAServerThatNeverEnds:
    """A request as a whole takes at most twice the timeout, whatever comes in meanwhile."""

    HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"

    @pytest.mark.parametrize(
        ("head", "again"),
        [(HEAD, b"x"), (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), (b"HTTP/1.1 200 OK\r\nX-Y: ", b"x")],
        ids=["body", "early hints", "header"],
    )
    def test_it_is_given_up(self, read, head, again):
        with _dripping_server(head, again) as address:
            account = Account("key", address, timeout=0.3)
            with pytest.raises(NoAnswerError, match="it took too long"):
                read(account)

    @pytest.mark.parametrize("coding", ["gzip, gzip", "gzip, gzip, gzip", "br", "zstd"])
    def test_what_is_packed_otherwise_than_asked_for_is_not_unpacked(self, coding):
        body = gzip.compress(gzip.compress(bytes(1 << 20)))
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        assert isinstance(_fail_against(head + body, Account("key")), NoAnswerError)

    def test_a_small_body_that_unpacks_to_a_huge_one_takes_no_memory(self):
        packer = zlib.compressobj(wbits=31)
        body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(384)) + packer.flush()
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        tracemalloc.start()
        assert "longer than" in str(_fail_against(head + body, Account("key")))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 * LONGEST_BODY

    def test_a_packed_response_is_unpacked(self):
        body = gzip.compress(b'{"data": []}')
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        with _raw_server(head + body) as address, Client(Account("key", address), retry=ONCE) as client:
            assert client.list_templates() == []


class TestProxies:
    @pytest.mark.parametrize("kind", ["environment", "account"])
    def test_the_way_to_this_machine_has_none(self, sandbox, account, monkeypatch, kind):
        nowhere = f"http://127.0.0.1:{free_port()}"
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, nowhere)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        proxied = replace(account, proxy=nowhere) if kind == "account" else account
        with Client(proxied, retry=ONCE) as client:
            assert client.list_templates()

    @pytest.mark.parametrize("name", ["https_proxy", "all_proxy"])
    @pytest.mark.parametrize("proxy", ["socks5://me:secret@proxy:1080", "foo://proxy:3128", "proxy:99999", "http://"])
    def test_one_of_the_environment_that_is_no_http_proxy_is_refused(self, monkeypatch, name, proxy):
        for other in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY"):
            monkeypatch.delenv(other, raising=False)
        monkeypatch.setenv(name, proxy)
        with pytest.raises(ConfigurationError, match=r"HTTPS_PROXY or ALL_PROXY\) must be the address of") as caught:
            Client(Account("key"))
        assert "secret" not in str(caught.value)
        with pytest.raises(ConfigurationError):
            AsyncClient(Account("key"))

    def test_one_of_the_environment_is_used_on_the_way_elsewhere(self, monkeypatch):
        with _raw_server(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as address:
            monkeypatch.setenv("https_proxy", address.removesuffix("/v1"))
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            with Client(Account("key"), retry=ONCE) as client, pytest.raises(NotSentError, match="407"):
                client.list_templates()


def _fail_against(answer: bytes, account: Account) -> PihuPulseError:
    with _raw_server(answer) as address, Client(replace(account, base_url=address), retry=ONCE) as client:
        with pytest.raises(PihuPulseError) as caught:
            client.list_candidates()
        return caught.value


@contextmanager
def _raw_server(answer: bytes) -> Iterator[str]:
    """Answer one connection with these bytes; yield the base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer_once, args=(listener, answer))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread.join()


@contextmanager
def _dripping_server(head: bytes, again: bytes) -> Iterator[str]:
    """Answer one connection with a head and then the same bytes again and again; yield the base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_drip, args=(listener, head, again))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread.join()


def _drip(listener: socket.socket, head: bytes, again: bytes) -> None:
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        connection.recv(65536)
        connection.sendall(head)
        for _ in range(200):
            time.sleep(0.05)
            connection.sendall(again)


def _answer_once(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        connection.recv(65536)
        connection.sendall(answer)
