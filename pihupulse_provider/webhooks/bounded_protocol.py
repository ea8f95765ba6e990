"""A connection of the HTTP server around the receiver: uvicorn's, with bounds on what strangers may hold.

uvicorn's own options don't do: with httptools it keeps a request's head however large it is and however slowly it
comes, with h11, which is slower, it bounds the size only; silent connections count towards ``limit_concurrency``, which
then refuses deliveries without ``Retry-After``; and each malformed request is a line of the log. Neither Hypercorn nor
Granian limits the connections of a peer. uvicorn takes a protocol class, though, so this one adds what is missing, by
what httptools tells anyway, and leaves the rest to uvicorn.

A connection *owes* something while its peer has yet to send the rest of a request, or to take the response. Where there
are too many connections, the one that has owed for longest is closed, if that is more than a second; only if there is
none is the new one turned away. So who holds connections open keeps nobody out: a delivery is sent in one go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from pihupulse_provider.webhooks.handler import Outcome
from pihupulse_provider.webhooks.http import Response, refusal

_FED_AT_ONCE = 16 * 1024
"""Bytes that are parsed between two looks at the bounds."""

_MALFORMED = refusal(400, "malformed", "This is not an HTTP/1.1 request.")
_TOO_SLOW = refusal(408, "too_slow", "The head of the request took too long.")
_TOO_LARGE = refusal(413, "too_large", "The request is too large.")
_HEAD_TOO_LARGE = refusal(431, "too_large", "The head of the request is too large.")
_TURNED_AWAY = refusal(503, "busy", "There are too many connections: come again.")


@dataclass(frozen=True)
class Bounds:
    """What a connection may hold.

    :ivar head_bytes: of the request line and the headers together.
    :ivar head_seconds: how long they may take, from the connection's start or the request's first byte.
    :ivar message_bytes: of a whole request, chunk sizes and trailers included; the receiver bounds the body itself.
    :ivar pipelined: requests that are sent without waiting for the response to the one before.
    :ivar connections: in all. :ivar of_a_peer: from one address; a reverse proxy is one.
    :ivar owing_seconds: after which a connection that owes something may be closed for a new one.
    """

    head_bytes: int = 32 * 1024
    head_seconds: float = 10.0
    message_bytes: int = 512 * 1024
    pipelined: int = 8
    connections: int = 1024
    of_a_peer: int = 512
    owing_seconds: float = 1.0


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's connection, bounded.

    :cvar bounds: what each connection may hold.
    :ivar owing_since: since when (the event loop's time) its peer owes something; None while it does not.
    """

    bounds = Bounds()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._count: Callable[[Outcome], None] = self.app_state.get("count", lambda _: None)
        self._head_timer: asyncio.TimerHandle | None = None
        self.owing_since: float | None = None
        self._owes_head = True
        self._is_refused = False
        self._running: RequestResponseCycle | None = None
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if there is room."""
        super().connection_made(transport)
        self.owing_since = self.loop.time()
        if self._make_room():
            self._head_timer = self.loop.call_later(self.bounds.head_seconds, self._give_up)
        else:
            self._refuse(_TURNED_AWAY, Outcome.TURNED_AWAY)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_head_timer()
        self.let_go()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, a piece at a time."""
        self._unset_keepalive_if_required()
        for start in range(0, len(data), _FED_AT_ONCE):
            if self._is_refused or self.transport.is_closing():
                return
            self._feed(data[start : start + _FED_AT_ONCE])
        if self._owes_head and self._head_timer is None and not self._is_responding():
            self._head_timer = self.loop.call_later(self.bounds.head_seconds, self._give_up)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._received = 0
        self.owing_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Go on to the body, and let the receiver begin."""
        if self._is_to_be_parsed_again():
            return
        if len(self.pipeline) >= self.bounds.pipelined:
            raise ValueError("too many requests at once")  # httptools makes this a parser's error
        super().on_headers_complete()
        if not self.pipeline:
            self._running = self.cycle
        self._owes_head = False
        self._stop_head_timer()

    def on_message_complete(self) -> None:
        """End a request."""
        if self._is_to_be_parsed_again():
            return
        self._owes_head = True
        self.owing_since = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.owing_since = self.loop.time()
        if self.pipeline:
            self._running = self.pipeline[-1][0]
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Wait for the peer to take what was sent."""
        self.owing_since = self.loop.time()
        super().pause_writing()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._is_to_be_parsed_again():
                self._parse_again(data[upgrade.args[0] :])
                return
        except httptools.HttpParserError:
            self._refuse(_MALFORMED, Outcome.MALFORMED)
            return
        self._received += len(data)
        if self._owes_head and self._received > self.bounds.head_bytes:
            self._refuse(_HEAD_TOO_LARGE, Outcome.MALFORMED)
        elif self._received > self.bounds.message_bytes:
            self._refuse(_TOO_LARGE, Outcome.TOO_LARGE)

    def _is_to_be_parsed_again(self) -> bool:
        """Return whether the request asks for another protocol, such as HTTP/2: httptools then leaves out the body."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _parse_again(self, rest: bytes) -> None:
        """Parse the request as if it had not asked for another protocol, which it may be denied (RFC 9110, 7.8).

        :param rest: what has come behind its head.
        """
        kept = (b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade")
        version = self.parser.get_http_version().encode()
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (self.parser.get_method(), self.url, version, b"".join(kept))
        self.parser = httptools.HttpRequestParser(self)
        self._feed(head + rest)

    def _make_room(self) -> bool:
        """Return whether there is room, closing a connection that owes something if need be."""
        bounds = self.bounds
        if len(self.connections) <= min(bounds.of_a_peer, bounds.connections):
            return True
        everyone = [other for other in self.connections if isinstance(other, BoundedProtocol)]
        of_the_peer = [other for other in everyone if other.client_host() == self.client_host()]
        if len(of_the_peer) > bounds.of_a_peer:
            return _close_one(of_the_peer, before=self.loop.time() - bounds.owing_seconds)
        if len(everyone) > bounds.connections:
            return _close_one(everyone, before=self.loop.time() - bounds.owing_seconds)
        return True

    def client_host(self) -> str:
        """Return the peer's address."""
        return self.client[0] if self.client else ""

    def _is_responding(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _give_up(self) -> None:
        self._head_timer = None
        if self._received:
            self._refuse(_TOO_SLOW, Outcome.TOO_SLOW)
        else:
            self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, response: Response, outcome: Outcome) -> None:
        """Refuse what comes, and end the connection; what came whole before it is still answered."""
        self._is_refused = True
        self._count(outcome)
        if not self._owes_head and self.pipeline:
            self.pipeline.popleft()
            self._owes_head = True
        if self._is_responding() and self._owes_head:
            last = self.pipeline[0][0] if self.pipeline else self._running
            if last is not None:
                last.keep_alive = False
            self.flow.pause_reading()
        elif not self.transport.is_closing():
            self.transport.write(response.encoded())
            self.transport.close()
            self.let_go()

    def let_go(self) -> None:
        """Let the receiver, if it is at work on a request, see that nobody waits for the response any more."""
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()


def _close_one(connections: Iterable[BoundedProtocol], *, before: float) -> bool:
    owing = [(other.owing_since, other) for other in connections if other.owing_since is not None]
    since, longest = min(owing, key=lambda pair: pair[0], default=(before, None))
    if longest is None or since >= before:
        return False
    longest.connections.discard(longest)
    longest.transport.abort()
    longest.let_go()
    return True
