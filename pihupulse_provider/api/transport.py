"""What both clients hand to httpx, and how they read what it does."""

from __future__ import annotations

import platform
from typing import Any

import httpx

from pihupulse_provider import __version__
from pihupulse_provider.api.account import Account
from pihupulse_provider.api.codec import Answer
from pihupulse_provider.api.endpoints import Call
from pihupulse_provider.api.errors import NoAnswerError, NotSentError, TransportError

USER_AGENT = f"airflow-provider-pihupulse/{__version__} python/{platform.python_version()}"
CONCURRENCY = 16
"""Requests in flight at once; httpx gets slower beyond that."""


def client_options(account: Account) -> dict[str, Any]:
    """Return the arguments for ``httpx.Client`` and ``httpx.AsyncClient``."""
    return {
        "headers": {
            "Authorization": f"Bearer {account.api_key}",
            "Accept": "application/json",
            "User-Agent": USER_AGENT,
        },
        "timeout": account.timeout,
        "verify": account.ssl_context(),
        "proxy": account.proxy,
        "limits": httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY),
        "follow_redirects": False,
    }


def request_options(account: Account, call: Call[Any]) -> dict[str, Any]:
    """Return the arguments for ``build_request``."""
    body = call.body.model_dump(mode="json", exclude_none=True) if call.body is not None else None
    return {
        "method": call.method,
        "url": account.base_url + call.path,
        "params": dict(call.params) or None,
        "json": body,
    }


def answer(response: httpx.Response, sent_at: float, received_at: float) -> Answer:
    """Return a response that has been read."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, response.content, sent_at, received_at)


def transport_error(account: Account, call: Call[Any], error: httpx.HTTPError) -> TransportError:
    """Return our error for one of httpx's: a failed connection sent nothing, anything later may have."""
    never_sent = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
    kind = NotSentError if isinstance(error, (*never_sent, httpx.ProxyError)) else NoAnswerError
    what = "could not be sent" if kind is NotSentError else "got no whole answer"
    return kind(f"{call.name} to {account.base_url} {what}: {type(error).__name__}: {error}".rstrip(": "))
