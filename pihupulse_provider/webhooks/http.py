"""The few lines of ASGI that the receiver needs: less work for each delivery than a framework does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any, Self

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

RETRY_SECONDS = 5
"""When a sender that is turned away had better come again, as every 503 says in ``Retry-After``."""


class TooLargeError(Exception):
    """The body is larger than is taken."""


class TooSlowError(Exception):
    """The body did not arrive in time."""


class DisconnectedError(Exception):
    """The sender went away."""


@dataclass(frozen=True)
class Response:
    """A response, with a JSON document or without a body: one write of the server instead of two."""

    status: int
    document: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, scope: Scope, send: Send) -> None:
        """Send it, in new messages each time: middleware of the server that it runs in may change their headers.

        :param scope: the request's; to a HEAD the body is not sent, and its headers are (RFC 9110, 9.3.2).
        """
        await send({"type": "http.response.start", "status": self.status, "headers": list(self._headers)})
        await send({"type": "http.response.body", "body": b"" if scope.get("method") == "HEAD" else self._body})

    def encoded(self) -> bytes:
        """Return it as HTTP/1.1, for a connection on which no request was read."""
        lines = b"".join(b"%s: %s\r\n" % header for header in self._headers)
        start = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
        return start.encode() + lines + b"\r\n" + self._body

    @cached_property
    def _body(self) -> bytes:
        return b"" if self.document is None else json.dumps(self.document).encode()

    @cached_property
    def _headers(self) -> list[tuple[bytes, bytes]]:
        kind = {"content-type": "application/json"} if self._body else {}
        headers = {**kind, "content-length": str(len(self._body)), **self.headers}
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response that says what was wrong, and ends the connection."""
    later = {"retry-after": str(RETRY_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    document = {"error": {"code": code, "message": message}}
    return Response(status, document, {"connection": "close", **later, **(headers or {})})


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Return all values of a header; its name is in lower case, as ASGI servers give it.

    Spaces around a value are none of it (RFC 9110, 5.5), and some servers leave those behind it.
    """
    return [value.decode("latin-1").strip(" \t") for key, value in scope["headers"] if key == name]


def path_below(scope: Scope, prefix: str) -> str:
    """Return the path below where the application is mounted and the prefix, without a slash at its end.

    It is empty if the path is elsewhere.
    """
    path: str = scope["path"]
    below = path.removeprefix(scope.get("root_path", ""))
    return below.removeprefix(prefix).rstrip("/") if below.startswith(f"{prefix}/") else ""


async def read_body(scope: Scope, receive: Receive, *, largest: int, seconds: float) -> bytes:
    """Return the body of a request.

    :param largest: the most bytes that are taken.
    :param seconds: how long the whole of it may take.
    :raises TooLargeError: if it is larger; what the header says is believed without reading.
    :raises TooSlowError: if it takes longer. :raises DisconnectedError: if the sender goes away.
    """
    for length in header_values(scope, b"content-length"):
        if not length.isdecimal() or int(length[:20]) > largest:
            raise TooLargeError
    first = _Begun(receive())
    if first.message is not None and not first.message.get("more_body", False):
        return _bytes_of(first.message, largest)
    try:
        async with asyncio.timeout(seconds):
            return await _read(first, receive, largest)
    except TimeoutError:
        raise TooSlowError from None


class _Begun:
    """A message that is awaited, as far as it comes without waiting.

    Nearly every body is there when it is asked for, and a timeout takes three times as long as all else about it.

    :ivar message: the message, if it was there.
    """

    def __init__(self, awaitable: Awaitable[MutableMapping[str, Any]]) -> None:
        self._steps = awaitable.__await__()
        self._held: list[Any] = []
        self.message: MutableMapping[str, Any] | None = None
        try:
            self._held.append(next(self._steps))
        except StopIteration as end:
            self.message = end.value

    def __await__(self) -> Generator[Any, Any, MutableMapping[str, Any]]:
        """Go on waiting for it."""
        message: MutableMapping[str, Any] = self.message if self.message is not None else (yield from self)
        return message

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._held.pop() if self._held else next(self._steps)

    def throw(self, error: BaseException) -> Any:
        """Pass on that who waits was cancelled."""
        return self._steps.throw(error)


async def _read(first: Awaitable[MutableMapping[str, Any]], receive: Receive, largest: int) -> bytes:
    body = b""
    message = await first
    while True:
        body += _bytes_of(message, largest - len(body))
        if not message.get("more_body", False):
            return body
        message = await receive()


def _bytes_of(message: MutableMapping[str, Any], most: int) -> bytes:
    if message["type"] == "http.disconnect":
        raise DisconnectedError
    body = bytes(message.get("body", b""))
    if len(body) > most:
        raise TooLargeError
    return body
