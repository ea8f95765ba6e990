"""What carries the bytes of the client for an event loop: asyncio's own connections, below httpcore.

httpcore would have anyio do it. Its versions up to 4.13, those of Airflow 3.0 to 3.2, let the event loop have a turn
between our last look at whether a request may still be sent and the sending: a worker that is stopped in that turn, and
goes on when another has its job, would send all the same. Up to 4.10 they also leave a connection open that is given up
as it is made.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from pihupulse_provider.api.transport import CAME_UNASKED

_NEXT_ADDRESS = 0.25
"""Seconds until a name's next address is tried beside the one that does not respond yet (RFC 8305)."""
_MOST_UNREAD = 256 * 1024
"""Bytes that are taken from the system before anybody asks for them."""


class AsyncTransport(httpx.AsyncHTTPTransport):
    """httpx's, over asyncio's own connections."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # httpx has no argument for the one below it that httpcore has.
        self._pool._network_backend = _Backend()  # noqa: SLF001


@contextmanager
def _raises(failed: type[httpcore.NetworkError], too_late: type[httpcore.TimeoutException]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:  # which is an OSError
        raise too_late(str(error)) from error
    except OSError as error:
        raise failed(str(error)) from error


class _Backend(httpcore.AsyncNetworkBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        making = asyncio.ensure_future(_connect(host, port, timeout, local_address))
        try:
            stream = await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_close_unwanted)  # asyncio loses one whose making is ended as it succeeds
            raise
        for option in socket_options or ():
            stream.get_extra_info("socket").setsockopt(*option)
        return stream


async def _connect(host: str, port: int, seconds: float | None, local_address: str | None) -> _Stream:
    with _raises(httpcore.ConnectError, httpcore.ConnectTimeout):
        async with asyncio.timeout(seconds):
            _, stream = await asyncio.get_running_loop().create_connection(
                _Stream,
                host,
                port,
                local_addr=None if local_address is None else (local_address, 0),
                happy_eyeballs_delay=_NEXT_ADDRESS,
            )
            return stream


def _close_unwanted(making: asyncio.Future[_Stream]) -> None:
    if not making.cancelled() and making.exception() is None:
        making.result().abort()


class _Stream(httpcore.AsyncNetworkStream, asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._arrived = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._has_ended = False
        self._error: Exception | None = None
        self._was_read = False

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._arrived.set()
        if len(self._received) >= _MOST_UNREAD:
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._has_ended = True
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._error = exc
        self.eof_received()
        self._may_write.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    # What httpcore calls.

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - its interface
        with _raises(httpcore.ReadError, httpcore.ReadTimeout):
            async with asyncio.timeout(timeout):
                while not self._received and not self._has_ended:
                    self._arrived.clear()
                    await self._arrived.wait()
        if not self._received and self._error is not None:
            raise httpcore.ReadError(str(self._error))
        self._was_read = True
        part = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        if len(self._received) < _MOST_UNREAD:
            self._transport.resume_reading()
        return part

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - its interface
        if not buffer:
            return
        if self._has_ended or self._transport.is_closing():
            raise httpcore.WriteError("the connection is closed")
        self._was_read = False
        self._transport.write(buffer)  # nobody else has had a turn since this was called
        with _raises(httpcore.WriteError, httpcore.WriteTimeout):
            async with asyncio.timeout(timeout):
                await self._may_write.wait()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        if self._has_ended:
            raise httpcore.ConnectError("the connection was closed before it was encrypted")
        with _raises(httpcore.ConnectError, httpcore.ConnectTimeout):
            async with asyncio.timeout(timeout):
                self._transport = await asyncio.get_running_loop().start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        return self

    async def aclose(self) -> None:
        self.abort()
        await asyncio.sleep(0)  # the loop closes it in its next turn

    def abort(self) -> None:
        self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._has_news()
        if info == CAME_UNASKED:
            return not self._was_read
        return self._transport.get_extra_info(info)

    def _has_news(self) -> bool:
        """Return whether something has come that nobody asked for, the end also; the loop may not know of it yet."""
        if self._received or self._has_ended or self._transport.is_closing():
            return True
        waiting = select.poll()
        waiting.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return bool(waiting.poll(0))
