"""HTTP/1.1 for the service, on one event loop.

A web framework stands between its application and the connection; the faults need the connection itself, to close
it without a response or in the middle of one.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import cast
from urllib.parse import unquote

import httptools

from pihupulse_provider.sandbox.delivery import WebhookSender
from pihupulse_provider.sandbox.http import ApiError, Request, Response
from pihupulse_provider.sandbox.site import Site

PHRASES = {status.value: status.phrase for status in HTTPStatus}

Serve = Callable[[Request], Response]


class PortTakenError(RuntimeError):
    """Something else listens on the chosen port."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"Port {port} on {host} is taken: choose another one, or 0 for any free one.")


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; connections queue up from now on."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port) from None
        raise
    listener.listen(1024)
    return listener


async def run(site: Site, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve and deliver webhooks until ``stop`` is set; open connections are closed then."""
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(site.respond, connections), sock=listener)
    sender = loop.create_task(WebhookSender(site.service).run())
    try:
        await stop.wait()
    finally:
        server.close()
        for connection in list(connections):
            connection.close()
        sender.cancel()
        with suppress(asyncio.CancelledError):
            await sender


class Connection(asyncio.Protocol):
    """One client's connection; its requests are answered in their order."""

    def __init__(self, serve: Serve, connections: set[Connection]) -> None:
        self._serve = serve
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._delayed: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a response that was delayed is not sent any more."""
        self._connections.discard(self)
        if self._delayed is not None:
            self._delayed.cancel()

    def close(self) -> None:
        """Close the connection from this side."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._write(ApiError(400, "This is not an HTTP/1.1 request").response(), keep_alive=False, head=False)

    def on_message_begin(self) -> None:
        """Begin a request (called by the parser)."""
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL (called by the parser)."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header (called by the parser)."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Let the client go on with the body if it asks first (called by the parser)."""
        if self._headers.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body (called by the parser)."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Respond to the request, or let it wait for its turn (called by the parser)."""
        self._waiting.append((self._request(), self._parser.should_keep_alive()))
        self._respond_next()

    def _request(self) -> Request:
        path, _, query = self._url.partition(b"?")
        return Request(
            method=self._parser.get_method().decode(),
            path=unquote(path.decode("latin-1")),
            query=query.decode("latin-1"),
            authorization=self._headers.get(b"authorization", b"").decode("latin-1"),
            content_type=self._headers.get(b"content-type", b"").decode("latin-1"),
            body=b"".join(self._body),
        )

    def _respond_next(self) -> None:
        while self._waiting and self._delayed is None and not self._transport.is_closing():
            request, keep_alive = self._waiting.popleft()
            response = self._serve(request)
            head = request.method == "HEAD"
            if response.delay:
                loop = asyncio.get_running_loop()
                self._delayed = loop.call_later(response.delay, self._respond_late, response, keep_alive, head)
            else:
                self._write(response, keep_alive=keep_alive, head=head)

    def _respond_late(self, response: Response, keep_alive: bool, head: bool) -> None:
        self._delayed = None
        self._write(response, keep_alive=keep_alive, head=head)
        self._respond_next()

    def _write(self, response: Response, *, keep_alive: bool, head: bool) -> None:
        if response.arrival != "nothing":
            keep_alive = keep_alive and response.arrival != "cut"
            self._transport.write(encoded(response, head=head, close=not keep_alive))
        if response.arrival == "nothing" or not keep_alive:
            self._transport.close()


def encoded(response: Response, *, head: bool, close: bool) -> bytes:
    """Return the bytes of a response as far as it is to arrive."""
    body = response.arriving
    length = len(response.body if response.arrival == "cut" else body)
    headers = {**response.headers, "Content-Type": response.content_type, "Content-Length": str(length)}
    if close:
        headers["Connection"] = "close"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    start = f"HTTP/1.1 {response.status} {PHRASES.get(response.status, 'Unassigned')}\r\n{lines}\r\n"
    return start.encode("latin-1") + (b"" if head else body)
