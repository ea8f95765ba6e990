"""What a client sends to create something, over a real network: once, and not later."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from pihupulse_provider.api import (
    Account,
    AsyncClient,
    Client,
    NewCandidate,
    NoAnswerError,
    PihuPulseError,
    RetryPolicy,
    endpoints,
)
from pihupulse_provider.api.async_client import run_to_end
from pihupulse_provider.sandbox import Sandbox

JANE = NewCandidate(name="Jane Smith", email="jane.smith@example.com")


@pytest.mark.parametrize("fault", ["drop", "cut", "truncated"])
def test_create_whose_answer_is_lost_is_sent_once(sandbox: Sandbox, account: Account, fault: str) -> None:
    before = len(sandbox.candidates)
    sandbox.fail(fault, method="POST", after_commit=True)

    with Client(account, retry=RetryPolicy(base=0.01)) as client, pytest.raises(PihuPulseError):
        client.create_candidate(JANE)

    assert len(sandbox.candidates) == before + 1


async def test_what_must_not_be_sent_any_more_is_not_sent_once_there_is_a_connection(
    account: Account, sandbox: Sandbox
) -> None:
    """Making one can take long, and the process can be stopped meanwhile."""
    is_ours = True

    class TakesLong(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal is_ours
            is_ours = False
            return await super().handle_async_request(request)

    async def must_be_ours() -> float:
        if not is_ours:
            raise PermissionError("Another run has the job.")
        return math.inf

    before = sandbox.count("POST /candidates")
    async with AsyncClient(account, transport=TakesLong()) as client:
        with pytest.raises(PermissionError):
            await client.run(endpoints.create_candidate(JANE), before_send=must_be_ours)
        assert sandbox.count("POST /candidates") == before
        assert await client.list_templates()


async def test_what_must_not_be_sent_any_more_is_not_sent_whole_once_it_has_begun(
    account: Account, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The process can be stopped between a request's head and its body, too."""
    caplog.set_level("DEBUG", "httpcore.http11")

    async def must_be_ours() -> float:
        if "send_request_headers.complete" in caplog.messages:
            raise PermissionError("Another run has the job.")
        return math.inf

    before = len(sandbox.candidates)
    async with AsyncClient(account) as client:
        with pytest.raises(PermissionError):
            await client.run(endpoints.create_candidate(JANE), before_send=must_be_ours)
        assert await client.list_templates()
    assert len(sandbox.candidates) == before


def _create(account: Account, candidate: NewCandidate, *, after_a_list: bool = False) -> None:
    with Client(account) as client:
        if after_a_list:
            client.list_templates()
        client.create_candidate(candidate)


def _create_in_an_event_loop(account: Account, candidate: NewCandidate, *, after_a_list: bool = False) -> None:
    async def create() -> None:
        async with AsyncClient(account) as client:
            if after_a_list:
                await client.list_templates()
            await client.create_candidate(candidate)

    run_to_end(create())


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("create", [_create, _create_in_an_event_loop])
def test_what_was_given_up_for_lost_is_not_delivered_once_the_network_is_back(
    create: Callable[[Account, NewCandidate], None], proxied: bool
) -> None:
    """The system would go on with what it has been given, for minutes after the client looked for it in vain."""
    large = NewCandidate(name="Jane", email="jane@example.org", resume_url=f"https://example.org/{'x' * 200_000}")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)  # what does not fit stays on the client's side
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        account = Account("key", address, timeout=0.6)
        if proxied:
            account = Account("key", "http://pihupulse.example", allow_http=True, proxy=address, timeout=0.6)
        with pytest.raises(NoAnswerError):
            create(account, large)
        with pytest.raises(ConnectionResetError):
            _receive_all(listener)


@pytest.mark.parametrize("create", [_create, _create_in_an_event_loop])
def test_response_that_was_there_before_the_request_is_not_its_own(create: Callable[..., None]) -> None:
    """A proxy that loses count sends it along with another; httpcore takes it for that of the next request."""
    templates = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"data": []}'
    candidate = b'{"data": {"id": "c1", "name": "Jim", "email": "jim@example.com"}}'
    created = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(candidate), candidate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        account = Account("key", f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=5)
        service = threading.Thread(target=_respond, args=(listener, templates + created))
        service.start()
        with pytest.raises(NoAnswerError, match="was there before it was sent"):
            create(account, JANE, after_a_list=True)
        service.join()


def _respond(listener: socket.socket, what: bytes) -> None:
    with listener.accept()[0] as connection, suppress(ConnectionResetError):
        connection.recv(65536)
        connection.sendall(what)
        while connection.recv(65536):
            pass


def _receive_all(listener: socket.socket) -> None:
    with listener.accept()[0] as connection:
        connection.settimeout(10)
        while connection.recv(65536):
            pass
