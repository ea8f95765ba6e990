"""Turns an answer into a model or a typed error, whatever came back."""

from __future__ import annotations

import codecs
import re
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from pihupulse_provider.api.endpoints import Call, ResultT
from pihupulse_provider.api.errors import ResponseError, StatusError, status_error_class
from pihupulse_provider.api.models import Page
from pihupulse_provider.api.privacy import excerpt, scrub
from pihupulse_provider.api.response import Response

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def decode(call: Call[ResultT], answer: Response) -> ResultT:
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
            data = {**data, "served_at": answer.served_at}
        return call.result.model_validate(data)
    except ValidationError as error:
        fields = sorted({".".join(str(part) for part in item["loc"]) for item in error.errors()})
        raise _response_error(call, answer, f"does not fit at {', '.join(fields[:5])}") from None


def _status_error(call: Call[Any], answer: Response) -> StatusError:
    told = _error_object(answer.body)
    code = told.get("code")
    code = code if isinstance(code, str) and _CODE.fullmatch(code) else None
    details = told.get("details")
    return status_error_class(answer.status)(
        f"{call.name} answered {answer.status}{f' {code}' if code else ''}: "
        f"{_said(call, answer, told)}{_advice(answer.status)}",
        status=answer.status,
        code=code,
        details=details if isinstance(details, dict) else None,
        retry_after=answer.seconds_to_wait(),
        asked_for=call.asked_for,
    )


def _error_object(body: bytes) -> dict[str, Any]:
    told = (_json_object(body) or {}).get("error")
    return told if isinstance(told, dict) else {}


def _said(call: Call[Any], answer: Response, told: dict[str, Any]) -> str:
    message = told.get("message")
    if isinstance(message, str) and message.strip():
        return scrub(message, call.personal_values)
    return f"no error message, but {_shown(call, answer)}"


def _advice(status: int) -> str:
    if 300 <= status < 400:
        return " (redirects are not followed, so that the API key stays where it belongs: check the host)"
    if status == 401:
        return " (check the connection's API key: Settings → API in the dashboard)"
    return ""


def _response_error(call: Call[Any], answer: Response, what: str) -> ResponseError:
    return ResponseError(
        f"{call.name} answered {answer.status} with a body that {what}: {_shown(call, answer)}", status=answer.status
    )


def _shown(call: Call[Any], answer: Response) -> str:
    return excerpt(answer.body, call.personal_values) or "an empty body"


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = from_json(body.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
