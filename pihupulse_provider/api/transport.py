"""What both clients hand to httpx, and how they read what it does."""

from __future__ import annotations

import json
import logging
import platform
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlencode
from urllib.request import getproxies, proxy_bypass

import httpx

from pihupulse_provider import __version__
from pihupulse_provider.api.account import Account, check_proxy, is_loopback
from pihupulse_provider.api.endpoints import Call
from pihupulse_provider.api.errors import (
    ClientClosedError,
    ConfigurationError,
    NoAnswerError,
    NotSentError,
    TransportError,
)
from pihupulse_provider.api.models import Model
from pihupulse_provider.api.network import CAME_UNASKED
from pihupulse_provider.api.response import Response

_GZIP = 16 + zlib.MAX_WBITS
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
USER_AGENT = f"airflow-provider-pihupulse/{__version__} python/{platform.python_version()}"
CONCURRENCY = 16
"""Requests in flight at once; httpx gets slower beyond that."""
LONGEST_REQUEST = 2.0
"""How many times the account's timeout one request may take as a whole: once to connect, once for its response."""
LONGEST_BODY = 64 * 1024 * 1024
"""Bytes; a page of 100 candidates has some 50,000."""


_ours: ContextVar[Call[Any] | None] = ContextVar("pihupulse_call", default=None)


class _HidesResponses(logging.Filter):
    """Keeps what the service sends out of the logs of httpx and httpcore, which repeat the heads of responses.

    A reason phrase or a header can hold personal data as well as a body, and so can an address with something in the
    place of an id. What others do with httpx is left alone.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record may be logged; httpx's names the call as errors do, and no reason phrase."""
        call = _ours.get()
        if call is None:
            return True
        if record.name == "httpx" and isinstance(record.args, tuple) and len(record.args) > 2:
            record.args = (record.args[0], _shown(call), *record.args[2:-1], "…")
        return not str(record.msg).startswith("receive_")


for _name in ("httpx", "httpcore.http11"):
    logging.getLogger(_name).addFilter(_HidesResponses())


def _shown(call: Call[Any]) -> str:
    """Return what the log shows of a call, after its method, in place of its address."""
    query = f"?{urlencode(call.params)}" if call.params else ""
    return call.subject.removeprefix(f"{call.method} ") + query


@contextmanager
def responses_hidden(call: Call[Any]) -> Iterator[None]:
    """Keep what the service sends out of the logs, meanwhile and in this context, and what may be no id."""
    token = _ours.set(call)
    try:
        yield
    finally:
        _ours.reset(token)


def client_options(account: Account) -> dict[str, Any]:
    """Return the arguments for ``httpx.Client`` and ``httpx.AsyncClient``."""
    return {
        "headers": {
            "Authorization": f"Bearer {account.api_key}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": USER_AGENT,
        },
        "timeout": account.timeout,
        "follow_redirects": False,
    }


def transport_options(account: Account) -> dict[str, Any]:
    """Return the arguments for ``httpx.HTTPTransport`` and ``httpx.AsyncHTTPTransport``."""
    return {
        "verify": account.ssl_context(),
        "proxy": _proxy(account),
        # Without a most: httpcore never frees a tunnel of which the encryption failed, and all would be used up.
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=CONCURRENCY),
        "trust_env": False,
    }


def _proxy(account: Account) -> str | None:
    """Return the account's proxy, or else the environment's; none on the way to this machine.

    :raises ConfigurationError: if the environment's can't be used.
    """
    url = httpx.URL(account.base_url)
    if is_loopback(url.host):
        return None  # plain http is allowed there, and a proxy would get the API key in clear
    if account.proxy is not None or proxy_bypass(url.host):
        return account.proxy
    known = getproxies()
    found = known.get(url.scheme) or known.get("all")
    if found is None:
        return None
    address = found if "://" in found else f"http://{found}"
    check_proxy(f"The environment's proxy ({url.scheme.upper()}_PROXY or ALL_PROXY)", address)
    return address


def check_open(http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> None:
    """Check that a call can still be sent. :raises ClientClosedError: if the client was closed."""
    if http.is_closed:
        raise ClientClosedError(f"{call.subject} was not sent: this client was closed. Use a new one.")


def request_options(account: Account, call: Call[Any]) -> dict[str, Any]:
    """Return the arguments for ``build_request``."""
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


class UnusableBodyError(httpx.ReadError):
    """A body that is not read any further; its message is ours, and holds nothing of it."""


class Body:
    """The body of one response while it comes in, as it is on the wire.

    It is unpacked here, and not by httpx, which has no bound: 3.5 kB packed three times over make 4 GB.

    :ivar is_whole: whether it was there from the start, as that of a transport without a network is.
    :raises UnusableBodyError: if it is packed in a way that was not asked for, or was there before its request.
    """

    def __init__(self, response: httpx.Response) -> None:
        connection = response.extensions.get("network_stream")
        if connection is not None and connection.get_extra_info(CAME_UNASKED):
            raise UnusableBodyError("what came was there before it was sent")
        self.is_whole = response.is_stream_consumed
        self._parts: list[bytes] = []
        self._size = 0
        coding = "identity" if self.is_whole else response.headers.get("Content-Encoding", "identity").strip().lower()
        self._gzip = zlib.decompressobj(_GZIP) if coding in ("gzip", "x-gzip") else None
        if self._gzip is None and coding != "identity":
            raise UnusableBodyError("it is packed in a way that was not asked for")
        if self.is_whole:
            self.add(response.content)

    def add(self, part: bytes) -> None:
        """Add what came next.

        :raises UnusableBodyError: if it can't be unpacked, or gets longer than any response of the reference.
        """
        if self._gzip is not None:
            try:
                part = self._gzip.decompress(part, LONGEST_BODY - self._size + 1)
            except zlib.error:
                raise UnusableBodyError("it is not the gzip that it says it is") from None
        self._size += len(part)
        if self._size > LONGEST_BODY:
            raise UnusableBodyError(f"it is longer than {LONGEST_BODY} bytes")
        self._parts.append(part)

    def response(self, response: httpx.Response, sent_at: float, received_at: float) -> Response:
        """Return the response, now that its body is whole."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status_code, headers, b"".join(self._parts), sent_at, received_at)


def transport_error(account: Account, call: Call[Any], error: httpx.HTTPError) -> TransportError:
    """Return our error for one of httpx's: a failed connection sent nothing, anything later may have."""
    to = f"{call.subject} to {account.base_url}"
    if isinstance(error, _NEVER_SENT):
        return NotSentError(
            f"{to} could not be sent: {_why_not_sent(error)}. Check the host, the proxy and the network."
        )
    unknown = "" if call.repeatable else " Whether it was carried out is not known."
    return NoAnswerError(f"{to} got no whole response: {_why_lost(error)}.{unknown}")


def _why_not_sent(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "there was no connection in time"
    if isinstance(error, httpx.ProxyError):
        status = str(error)[:3]  # what follows is the proxy's text
        return f"the proxy refused it with status {status}" if status.isdecimal() else "the proxy refused it"
    return str(error) or "there is no connection"  # the operating system's and OpenSSL's words


def _why_lost(error: httpx.HTTPError) -> str:
    """Say it in our words: httpx's may repeat bytes that came, and any of them may be personal."""
    if isinstance(error, UnusableBodyError):
        return str(error)
    if isinstance(error, httpx.TimeoutException):
        return "it took too long"
    if isinstance(error, httpx.ProtocolError):
        return "the connection was closed early, or what came is not HTTP"
    return "the connection broke"
