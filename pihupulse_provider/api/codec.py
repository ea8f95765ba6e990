"""Turns an answer into a model or a typed error, whatever came back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic import ValidationError

from pihupulse_provider.api.endpoints import Call, ResultT
from pihupulse_provider.api.errors import ResponseError, StatusError, status_error_class
from pihupulse_provider.api.models import Page
from pihupulse_provider.api.privacy import excerpt, scrub
from pihupulse_provider.api.rate_limit import Seen


@dataclass(frozen=True)
class Answer:
    """What came back for one request; header names are lower case, times are epoch seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_at: float
    received_at: float


def decode(call: Call[ResultT], answer: Answer) -> ResultT:
    """Return the model in a successful answer.

    :raises StatusError: for any status but 2xx.
    :raises ResponseError: for a body that is not what the reference describes.
    """
    if not 200 <= answer.status < 300:
        raise _status_error(call, answer)
    document = _json_object(answer.body)
    data = document.get("data") if document is not None and call.enveloped else document
    if not isinstance(data, dict):
        raise _response_error(call, answer, "is not the JSON object that the reference describes")
    try:
        if issubclass(call.result, Page):
            data = {**data, "served_at": _date(answer.headers)}
        return call.result.model_validate(data)
    except ValidationError as error:
        fields = sorted({".".join(str(part) for part in item["loc"]) for item in error.errors()})
        raise _response_error(call, answer, f"does not fit at {', '.join(fields[:5])}") from None


def limits(answer: Answer, backoff: float) -> Seen:
    """Return what an answer says about the rate limit."""
    limit = _number(answer.headers.get("x-ratelimit-limit"))
    remaining = _number(answer.headers.get("x-ratelimit-remaining"))
    reset = _number(answer.headers.get("x-ratelimit-reset"))
    served = _date(answer.headers)
    server_now = served.timestamp() if served else answer.received_at
    return Seen(
        sent_at=answer.sent_at,
        received_at=answer.received_at,
        limited=answer.status == 429,
        retry_after=_retry_after(answer),
        limit=limit,
        remaining=int(remaining) if remaining is not None else None,
        resets_in=max(0.0, reset - server_now) if reset is not None else None,
        backoff=backoff,
    )


def _status_error(call: Call[Any], answer: Answer) -> StatusError:
    document = _json_object(answer.body)
    told = document.get("error") if document is not None else None
    if not isinstance(told, dict):
        told = {}
    code = told.get("code")
    message = told.get("message")
    details = told.get("details")
    said = (
        scrub(str(message), call.personal_values)
        if message
        else f"no error document, but {excerpt(answer.body, call.personal_values) or 'an empty body'!r}"
    )
    return status_error_class(answer.status)(
        f"{call.name} answered {answer.status}{f' {code}' if code else ''}: {said}{_advice(answer.status)}",
        status=answer.status,
        code=str(code) if code is not None else None,
        details=details if isinstance(details, dict) else None,
        retry_after=_retry_after(answer),
    )


def _advice(status: int) -> str:
    if 300 <= status < 400:
        return " (redirects are not followed, so that the API key stays where it belongs: check the host)"
    if status == 401:
        return " (check the connection's API key: Settings → API in the dashboard)"
    return ""


def _response_error(call: Call[Any], answer: Answer, what: str) -> ResponseError:
    start = excerpt(answer.body, call.personal_values) if _json_object(answer.body) is None else ""
    shown = f": {start!r}" if start else ""
    return ResponseError(
        f"{call.name} answered {answer.status} with a body that {what}{shown}",
        status=answer.status,
        excerpt=start,
    )


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _retry_after(answer: Answer) -> float | None:
    text = answer.headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    until = _http_date(text)
    served = _date(answer.headers)
    if until is None:
        return None
    now = served.timestamp() if served else answer.received_at
    return max(0.0, until.timestamp() - now)


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < 1e11 else None


def _date(headers: Mapping[str, str]) -> datetime | None:
    return _http_date(headers.get("date"))


def _http_date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC) if moment else None
