"""A bound on the time that one request takes as a whole, for the blocking client.

httpx bounds each read. A server that sends a byte, or a ``103 Early Hints``, every so often could so keep a request
waiting for ever. Code for an event loop has ``asyncio.timeout``; blocking code needs the bound at each read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx


class DeadlineTransport(httpx.HTTPTransport):
    """Carries requests over the network, each within the ``seconds`` of :meth:`within`, on any number of threads."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._due = threading.local()
        # httpx has no argument for the one below it that httpcore has.
        self._pool._network_backend = _Backend(self._pool._network_backend, self._due)  # noqa: SLF001

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let reads of this thread fail with ``httpx.ReadTimeout`` once so many seconds are over."""
        self._due.at = time.monotonic() + seconds
        try:
            yield
        finally:
            self._due.at = None


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, due: threading.local) -> None:
        self._inner = inner
        self._due = due

    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_tcp(*args, **kwargs), self._due)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, due: threading.local) -> None:
        self._inner = inner
        self._due = due

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        due = getattr(self._due, "at", None)
        if due is not None:
            left = due - time.monotonic()
            if left <= 0:
                raise httpcore.ReadTimeout("the response took too long as a whole")
            timeout = left if timeout is None else min(timeout, left)
        return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(*args, **kwargs), self._due)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
