"""What is below httpx: httpcore's connections, and what they lack for creating once."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import anyio.abc
import httpcore
import httpx

CAME_UNASKED = "came_unasked"
"""An extra of our streams: whether nothing was read since the request was written. A response that httpcore has all the
same came along with an earlier one."""
_RESET_AT_ONCE = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""Drops undelivered bytes when a connection is closed or its process dies. Otherwise the kernel keeps trying for
minutes, and a request that was given up may be carried out once the network is back."""
_OPTIONS: dict[str, Any] = {"socket_options": [_RESET_AT_ONCE]}
"""Set here, as httpcore leaves out httpx's on the way to a proxy."""
_before_write: ContextVar[Callable[[], None] | None] = ContextVar("pihupulse_before_write", default=None)


class DeadlineTransport(httpx.HTTPTransport):
    """A transport whose reads fail after the seconds of :meth:`within`; threads may share it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._due = threading.local()
        # httpx has no argument for the one below it that httpcore has.
        self._pool._network_backend = _Backend(self._due)  # noqa: SLF001

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let reads of this thread fail with ``httpx.ReadTimeout`` once so many seconds are over."""
        self._due.at = time.monotonic() + seconds
        try:
            yield
        finally:
            self._due.at = None


class _Backend(httpcore.SyncBackend):
    def __init__(self, due: threading.local) -> None:
        self._due = due

    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(*args, **kwargs | _OPTIONS), self._due)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, due: threading.local) -> None:
        self._inner = inner
        self._due = due
        self._was_read = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        due = getattr(self._due, "at", None)
        if due is not None:
            left = due - time.monotonic()
            if left <= 0:
                raise httpcore.ReadTimeout("the response took too long as a whole")
            timeout = left if timeout is None else min(timeout, left)
        self._was_read = True
        return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._was_read = False
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(*args, **kwargs), self._due)

    def get_extra_info(self, info: str) -> Any:
        return not self._was_read if info == CAME_UNASKED else self._inner.get_extra_info(info)


@contextmanager
def before_each_write(check: Callable[[], None] | None) -> Iterator[None]:
    """Have an :class:`AsyncTransport` call this, if it is anything, before the system gets any bytes from this task.

    What it raises ends the request, and its connection.
    """
    token = _before_write.set(check)
    try:
        yield
    finally:
        _before_write.reset(token)


class AsyncTransport(httpx.AsyncHTTPTransport):
    """A transport that writes each part of a request without yielding to the event loop first."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pool._network_backend = _AsyncBackend()  # noqa: SLF001


class _AsyncBackend(httpcore.AnyIOBackend):
    async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        stream: Any = await super().connect_tcp(*args, **kwargs | _OPTIONS)
        # Below the encryption, which is put on top of it later.
        stream._stream = _SendsAtOnce(stream._stream)  # noqa: SLF001
        return _AsyncStream(stream)


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._was_read = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        self._was_read = True
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        self._was_read = False
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await self._inner.start_tls(*args, **kwargs))

    def get_extra_info(self, info: str) -> Any:
        return not self._was_read if info == CAME_UNASKED else self._inner.get_extra_info(info)


class _SendsAtOnce(anyio.abc.ByteStream):
    """One of anyio's, that sends in the turn in which it is told to.

    anyio up to 4.13, that of Airflow 3.0 to 3.2, lets the event loop have a turn first. A worker that is stopped in
    that turn, after the last look at whether the job is still its own, would send when it goes on.
    """

    def __init__(self, inner: anyio.abc.SocketStream) -> None:
        self._inner = inner
        self._socket = inner.extra_attributes[anyio.abc.SocketAttribute.raw_socket]()

    async def send(self, item: bytes) -> None:
        if rest := item[self._sent_at_once(item) :]:
            await self._inner.send(rest)

    def _sent_at_once(self, item: bytes) -> int:
        """Return how much the system took; nothing of what was sent before waits in anyio, which would be overtaken."""
        if (check := _before_write.get()) is not None:
            check()
        try:
            return os.write(self._socket.fileno(), item)
        except OSError:  # no room, or closed: anyio waits, or says it in its own words
            return 0

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._inner.receive(max_bytes)

    async def send_eof(self) -> None:
        await self._inner.send_eof()

    async def aclose(self) -> None:
        await self._inner.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._inner.extra_attributes
