"""What both clients hand to httpx, and how they read what it does."""

from __future__ import annotations

import json
import platform
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from pihupulse_provider import __version__
from pihupulse_provider.api.account import Account, is_loopback
from pihupulse_provider.api.endpoints import Call
from pihupulse_provider.api.errors import ConfigurationError, NoAnswerError, NotSentError, TransportError
from pihupulse_provider.api.models import Model
from pihupulse_provider.api.response import Response

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
USER_AGENT = f"airflow-provider-pihupulse/{__version__} python/{platform.python_version()}"
CONCURRENCY = 16
"""Requests in flight at once; httpx gets slower beyond that."""
LONGEST_BODY = 16 * 1024 * 1024
"""Bytes, decoded; a page of 100 candidates has some 50,000."""
_CODINGS = ("", "identity", "gzip", "deflate")
"""What a body may be coded in: one of these. 64 kB of them, which is what is read at once, decode to 66 MB at most."""


def client_options(account: Account) -> dict[str, Any]:
    """Return the arguments for ``httpx.Client`` and ``httpx.AsyncClient``; the transport says how to get there."""
    return {
        "headers": {
            "Authorization": f"Bearer {account.api_key}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": USER_AGENT,
        },
        # Waiting for one of our own connections to become free is no fault of the service's.
        "timeout": httpx.Timeout(account.timeout, pool=None),
        "trust_env": False,
        "follow_redirects": False,
    }


def blocking_transport(account: Account) -> httpx.HTTPTransport:
    """Return the way to the network for a blocking client, in which :func:`deadline` holds."""
    transport = httpx.HTTPTransport(**_way(account))
    # httpx has no deadline for a whole exchange, and no public place to put one.
    pool: Any = transport._pool  # noqa: SLF001
    pool._network_backend = _DeadlineBackend(pool._network_backend)  # noqa: SLF001
    return transport


def async_transport(account: Account) -> httpx.AsyncHTTPTransport:
    """Return the way to the network for a client in an event loop, which has deadlines of its own."""
    return httpx.AsyncHTTPTransport(**_way(account))


def _way(account: Account) -> dict[str, Any]:
    return {
        "verify": account.ssl_context(),
        "proxy": _proxy(account),
        "limits": httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY),
    }


def _proxy(account: Account) -> str | None:
    """Return the proxy on the way: the account's own, else the environment's; none to this machine itself."""
    url = httpx.URL(account.base_url)
    if is_loopback(url.host):
        return None
    if account.proxy is not None:
        return account.proxy
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


_deadlines = threading.local()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let all that this thread reads from and writes to the network take so many seconds together.

    They count from the first step on the network, not while one of our own connections is waited for.
    """
    _deadlines.seconds, _deadlines.until = seconds, None
    try:
        yield
    finally:
        del _deadlines.seconds, _deadlines.until


def _left(timeout: float | None) -> float | None:
    if not hasattr(_deadlines, "until"):
        return timeout
    if _deadlines.until is None:
        _deadlines.until = time.monotonic() + _deadlines.seconds
    left: float = _deadlines.until - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the deadline is over")
    return left if timeout is None else min(left, timeout)


class _DeadlineBackend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._backend.connect_tcp(host, port, _left(timeout), local_address, socket_options)
        return _DeadlineStream(stream)

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def request_options(account: Account, call: Call[Any]) -> dict[str, Any]:
    """Return the arguments for ``stream``."""
    headers, content = {}, None
    if call.body is not None:
        headers, content = {"Content-Type": "application/json"}, _json(call.name, call.body)
    return {
        "method": call.method,
        "url": account.base_url + call.path,
        "params": dict(call.params) or None,
        "headers": headers,
        "content": content,
    }


def _json(name: str, body: Model) -> bytes:
    document = body.model_dump(mode="json", exclude_none=True)
    try:
        return json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{name} was not sent: one of its texts holds half a character (a lone surrogate)."
        ) from None


class _UnusableBodyError(httpx.ReadError):
    """A body that is not read any further; its message is ours."""


class Body:
    """The body of one response while it comes in.

    :raises httpx.ReadError: if it is coded as we did not ask for.
    """

    def __init__(self, response: httpx.Response) -> None:
        if response.headers.get("content-encoding", "").strip().lower() not in _CODINGS:
            raise _UnusableBodyError("its content coding is not the one that was asked for")
        self._response = response
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        """Add what came next.

        :raises httpx.ReadError: if it gets longer than any response that the reference describes.
        """
        self._size += len(part)
        if self._size > LONGEST_BODY:
            raise _UnusableBodyError(f"it is longer than {LONGEST_BODY} bytes")
        self._parts.append(part)

    def response(self, sent_at: float, received_at: float) -> Response:
        """Return the response, now that its body is whole."""
        headers = {name.lower(): value for name, value in self._response.headers.items()}
        return Response(self._response.status_code, headers, b"".join(self._parts), sent_at, received_at)


def transport_error(account: Account, call: Call[Any], error: httpx.HTTPError | TimeoutError) -> TransportError:
    """Return our error for one of httpx's: a failed connection sent nothing, anything later may have."""
    to = f"{call.subject} to {account.base_url}"
    if isinstance(error, _NEVER_SENT):
        return NotSentError(
            f"{to} could not be sent: {_why_not_sent(error)}. Check the host, the proxy and the network."
        )
    unknown = "" if call.repeatable else " Whether it was carried out is not known."
    return NoAnswerError(f"{to} got no whole response: {_why_lost(account, error)}.{unknown}")


def _why_not_sent(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "there was no connection in time"
    if isinstance(error, httpx.ProxyError):
        status = str(error)[:3]
        return f"the proxy refused it with status {status}" if status.isdecimal() else "the proxy refused it"
    return str(error) or "there is no connection"  # the operating system's and OpenSSL's words, not the service's


def _why_lost(account: Account, error: Exception) -> str:
    """Say it in our words: httpx's may repeat bytes that came instead of a response."""
    if isinstance(error, _UnusableBodyError):
        return str(error)
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return f"it took more than {account.timeout:g} seconds"
    if isinstance(error, httpx.DecodingError):
        return "its content coding is broken"
    if isinstance(error, httpx.ProtocolError):
        return "the connection was closed early, or what came is no HTTP"
    return "the connection broke"
