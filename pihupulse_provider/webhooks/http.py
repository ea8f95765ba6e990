"""The few lines of ASGI that the receiver needs: less work for each delivery than a framework does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class TooLargeError(Exception):
    """The body is larger than is taken."""


class TooSlowError(Exception):
    """The body did not arrive in time."""


class DisconnectedError(Exception):
    """The sender went away."""


@dataclass(frozen=True)
class Answer:
    """An answer, with a JSON document or without a body: one write of the server instead of two."""

    status: int
    document: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, send: Send) -> None:
        """Send it."""
        for message in self._messages:
            await send(message)

    @cached_property
    def _messages(self) -> tuple[dict[str, Any], dict[str, Any]]:
        body = b"" if self.document is None else json.dumps(self.document).encode()
        kind = {"content-type": "application/json"} if body else {}
        headers = {**kind, "content-length": str(len(body)), **self.headers}
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        start = {"type": "http.response.start", "status": self.status, "headers": encoded}
        return start, {"type": "http.response.body", "body": body}


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer that says what was wrong."""
    return Answer(status, {"error": {"code": code, "message": message}}, headers or {})


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Return all values of a header; its name is in lower case, as ASGI servers give it."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def path_below(scope: Scope, prefix: str) -> str:
    """Return the path below where the application is mounted and the prefix; empty if it is elsewhere."""
    path: str = scope["path"]
    below = path.removeprefix(scope.get("root_path", ""))
    return below.removeprefix(prefix) if below.startswith(f"{prefix}/") else ""


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
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, largest)
    except TimeoutError:
        raise TooSlowError from None


async def _read(receive: Receive, largest: int) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        body += bytes(message.get("body", b""))
        if len(body) > largest:
            raise TooLargeError
        if not message.get("more_body", False):
            return body
