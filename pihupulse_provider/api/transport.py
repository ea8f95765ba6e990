"""What both clients hand to httpx, and how they read what it does."""

from __future__ import annotations

import json
import platform
from typing import Any

import httpx

from pihupulse_provider import __version__
from pihupulse_provider.api.account import Account
from pihupulse_provider.api.endpoints import Call
from pihupulse_provider.api.errors import ConfigurationError, NoAnswerError, NotSentError, TransportError
from pihupulse_provider.api.models import Model
from pihupulse_provider.api.privacy import scrub
from pihupulse_provider.api.response import Response

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
USER_AGENT = f"airflow-provider-pihupulse/{__version__} python/{platform.python_version()}"
CONCURRENCY = 16
"""Requests in flight at once; httpx gets slower beyond that."""
LONGEST_BODY = 64 * 1024 * 1024
"""Bytes; a page of 100 candidates has some 50,000."""


def client_options(account: Account) -> dict[str, Any]:
    """Return the arguments for ``httpx.Client`` and ``httpx.AsyncClient``."""
    return {
        "headers": {
            "Authorization": f"Bearer {account.api_key}",
            "Accept": "application/json",
            "User-Agent": USER_AGENT,
        },
        # Waiting for one of our own connections to become free is no fault of the service's.
        "timeout": httpx.Timeout(account.timeout, pool=None),
        "verify": account.ssl_context(),
        "proxy": account.proxy,
        "limits": httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY),
        "follow_redirects": False,
    }


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


class Body:
    """The body of one answer while it comes in."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        """Add what came next.

        :raises httpx.ReadError: if it gets longer than any answer that the reference describes.
        """
        self._size += len(part)
        if self._size > LONGEST_BODY:
            raise httpx.ReadError(f"the answer is longer than {LONGEST_BODY} bytes")
        self._parts.append(part)

    def answer(self, response: httpx.Response, sent_at: float, received_at: float) -> Response:
        """Return the response, now that its body is whole."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status_code, headers, b"".join(self._parts), sent_at, received_at)


def transport_error(account: Account, call: Call[Any], error: httpx.HTTPError) -> TransportError:
    """Return our error for one of httpx's: a failed connection sent nothing, anything later may have."""
    kind = NotSentError if isinstance(error, _NEVER_SENT) else NoAnswerError
    what = "could not be sent" if kind is NotSentError else "got no whole answer"
    # After that word the message repeats bytes that came instead of an answer's head: any of them may be personal.
    why = str(error).partition("bytearray")[0]
    why = f"{type(error).__name__}: {scrub(why, call.personal_values)}".rstrip(": ")
    return kind(f"{call.name} to {account.base_url} {what}: {why}")
