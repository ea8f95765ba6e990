"""One response of the service: what its headers say, and the model or the typed error that its body makes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from pihupulse_provider.api.endpoints import Call, ResultT
from pihupulse_provider.api.errors import ResponseError, StatusError, status_error_class
from pihupulse_provider.api.events import read_document
from pihupulse_provider.api.models import Page
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders

_LARGEST = 1e11
"""Numbers beyond it are no seconds since 1970: such a header counts as absent."""


@dataclass(frozen=True)
class Response:
    """What came back for one request; header names are lower case, times are epoch seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    sent_at: float
    received_at: float

    @property
    def served_at(self) -> datetime | None:
        """Return the server's own time (its ``Date`` header); None when it did not say."""
        return _moment(self.headers.get("date"))

    @property
    def retry_after(self) -> float | None:
        """Return the seconds that ``Retry-After`` asks to wait; it is a number or a date."""
        text = self.headers.get("retry-after")
        until = _moment(text)
        return _number(text) if until is None else max(0.0, until.timestamp() - self._server_now())

    def limits(self, backoff: float) -> RateLimitHeaders:
        """Return what the response says about the rate limit (API reference, "Rate Limiting").

        A 5xx may be of a gateway in between, which counts for itself.
        """
        headers = self.headers if self.status < 500 else {}
        limit = _number(headers.get("x-ratelimit-limit"))
        remaining = _number(headers.get("x-ratelimit-remaining"))
        reset = _number(headers.get("x-ratelimit-reset"))
        return RateLimitHeaders(
            sent_at=self.sent_at,
            received_at=self.received_at,
            limited=self.status == 429,
            retry_after=self.retry_after,
            limit=limit if limit is not None and limit >= 1 else None,
            remaining=int(remaining) if remaining is not None else None,
            resets_in=max(0.0, reset - self._server_now()) if reset is not None else None,
            backoff=backoff,
            served_at=self.served_at.timestamp() if self.served_at else None,
        )

    def seconds_to_wait(self) -> float | None:
        """Return after how many seconds the service says it may be asked again; None when it says nothing credible."""
        if self.status != 429 or self.retry_after is not None:
            return self.retry_after
        return self.limits(backoff=1.0).reset

    def _server_now(self) -> float:
        return self.served_at.timestamp() if self.served_at else self.received_at


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < _LARGEST else None


def _moment(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC) if moment else None


_CODES = ("invalid_request", "unauthorized", "forbidden", "not_found", "rate_limited")
"""API reference, "Common Error Codes"; another code is the service's own text, and in no message."""
_NOT_PIHUPULSE = "This does not look like PihuPulse: check the connection's host."
_ADVICE = {
    400: "Check the values that were sent; the error's service_message and details say what PihuPulse objects to.",
    401: "Check the API key (Settings → API in the dashboard).",
    403: "Ask the account's owner what the API key may do (Settings → API in the dashboard).",
    429: "Other programs may use the same account: lower requests_per_minute in the connection, or try later.",
}


def decode(call: Call[ResultT], response: Response, key_place: str | None = None) -> ResultT:
    """Return the model in a successful response.

    :param key_place: where the API key is kept; None when that is not known.
    :raises StatusError: for any status but 2xx.
    :raises ResponseError: for a body that is not what the reference describes.
    """
    if not 200 <= response.status < 300:
        raise _status_error(call, response, key_place)
    document = _json_object(response.body)
    data = document.get("data") if document is not None and call.enveloped else document
    if not isinstance(data, dict):
        raise _response_error(call, response, f"is {_kind_of(response.body)}, not what the reference describes")
    try:
        if issubclass(call.result, Page):
            data = {**data, "served_at": response.served_at}
        return call.result.model_validate(data)
    except ValidationError as error:
        fields = sorted({".".join(str(part) for part in item["loc"]) for item in error.errors()})
        raise _response_error(call, response, f"does not fit at {', '.join(fields[:5])}") from None


def _status_error(call: Call[Any], response: Response, key_place: str | None) -> StatusError:
    error = _error_object(response.body)
    code, words, details = error.get("code"), error.get("message"), error.get("details")
    documented = f" {code}" if code in _CODES else ""
    return status_error_class(response.status)(
        f"{call.subject} failed with status {response.status}{documented}. {_advice(call, response, error, key_place)}",
        status=response.status,
        code=code if isinstance(code, str) else None,
        service_message=words if isinstance(words, str) else None,
        details=details if isinstance(details, dict) else None,
        retry_after=response.seconds_to_wait(),
        asked_for=call.asked_for,
    )


def _error_object(body: bytes) -> dict[str, Any]:
    error = (_json_object(body) or {}).get("error")
    return error if isinstance(error, dict) else {}


def _advice(call: Call[Any], response: Response, error: Mapping[str, Any], key_place: str | None) -> str:
    status = response.status
    if 300 <= status < 400:
        return f"Redirects are not followed, so that the API key stays where it belongs. {_NOT_PIHUPULSE}"
    if status >= 500 or status in (408, 425):
        return f"The server has a fault of its own (it sent {_kind_of(response.body)}): try again later."
    if not error and status != 429:
        return f"It sent {_kind_of(response.body)} where PihuPulse describes the error. {_NOT_PIHUPULSE}"
    if status == 404:
        checks = f"{call.absent}: check it, which account the API key belongs to, and the connection's host."
        return checks if call.asked_for else _NOT_PIHUPULSE
    place = f" The key is {key_place}." if key_place and status in (401, 403) else ""
    return _ADVICE.get(status, _ADVICE[400]) + place


def _response_error(call: Call[Any], response: Response, what: str) -> ResponseError:
    return ResponseError(
        f"{call.subject} got status {response.status} with a body that {what}. {_NOT_PIHUPULSE}", status=response.status
    )


def _kind_of(body: bytes) -> str:
    """Return what kind of thing a body is, for a person to recognise what sent it, without a word of it.

    >>> _kind_of(b"<h1>502 Bad Gateway</h1>")
    'HTML of 24 bytes'
    """
    start = body[:1000].removeprefix(codecs.BOM_UTF8).lstrip()
    if not start:
        return "an empty body"
    kinds = {b"<": "HTML", b"{": "JSON", b"[": "JSON", b'"': "JSON"}
    return f"{kinds.get(start[:1], 'something')} of {len(body)} bytes"


_HALF_A_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
"""The start of an escape that can be half an emoji: one in a name keeps nobody from reading the rest."""


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = (
            read_document(body)
            if _HALF_A_PAIR.search(body)
            else from_json(body.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
        )
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
