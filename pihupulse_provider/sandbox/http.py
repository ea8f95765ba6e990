"""What comes in and goes out: a request, a response, and the error shape of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

JSON = "application/json"

CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "invalid_request",
    429: "rate_limited",
}
"""The error code of each status (API reference, "Common Error Codes"; 405 is not listed there)."""

Arrival = Literal["whole", "half", "cut", "nothing"]
"""How a response reaches the client.

``whole``; ``half``: a well-formed response that holds half of the body; ``cut``: the connection is closed in the
middle of the body; ``nothing``: it is closed without a response.
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    ``path`` is decoded, ``query`` is not.
    """

    method: str
    path: str
    query: str = ""
    authorization: str = ""
    content_type: str = ""
    body: bytes = b""


@dataclass(slots=True)
class Response:
    """One HTTP response; ``delay`` seconds pass before it is sent, ``arrival`` says what becomes of it."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON
    delay: float = 0.0
    arrival: Arrival = "whole"

    @property
    def arriving(self) -> bytes:
        """The part of the body that reaches the client."""
        half = len(self.body) // 2
        return {"whole": self.body, "nothing": b""}.get(self.arrival, self.body[:half])


class ApiError(Exception):
    """A refusal in the shape of the API reference, "Error Handling"."""

    def __init__(
        self,
        status: int,
        message: str,
        details: Mapping[str, Any] | None = None,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code or CODES.get(status, "internal_error" if status >= 500 else "invalid_request")
        self.message = message
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the error as the API sends it."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = self.details
        return json_response({"error": error}, self.status, self.headers)


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with ``content`` as its JSON body."""
    return Response(status, json.dumps(content, separators=(",", ":")).encode(), dict(headers or {}))
