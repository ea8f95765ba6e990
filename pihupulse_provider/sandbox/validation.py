"""What requests may contain; everything the API reference does not document is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pydantic import ValidationError

from pihupulse_provider.sandbox.http import JSON, ApiError, Request

MAX_BODY = 1_000_000
MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 20

TEXT = r"\S"
INVISIBLE = r"\s\x00-\x1f\x7f-\x9f"
"""Spaces and control characters, within a set of characters."""
LABEL = r"[^\s\x00-,./:-@\[-^`{-\x9f]+"
"""A part of a host's name, in any script: of ASCII its letters and digits, ``-`` and ``_``."""
END = r"$(?!\n)"
"""The end of the text in each dialect; in Python's ``$`` is also before a last line break."""
EMAIL = rf"^[^@{INVISIBLE}]+@{LABEL}(\.{LABEL})+{END}"
URL = rf"^[Hh][Tt][Tt][Pp][Ss]?://[^{INVISIBLE}]+{END}"
PAGE_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request body: a string in which ``pattern`` is found, or a boolean if there is none.

    The reference names no limits, so only what no service can take is refused.
    """

    required: bool = False
    pattern: str | None = None
    hint: str = "must be a boolean"

    @property
    def absence(self) -> str | None:
        """What is wrong when the field is left out."""
        return "is required" if self.required else None

    def problem(self, value: object) -> str | None:
        """Return what is wrong with the value."""
        if self.pattern is None:
            return None if isinstance(value, bool) else self.hint
        return None if isinstance(value, str) and re.search(self.pattern, value) else self.hint


CANDIDATE_FIELDS = {
    "name": Field(required=True, pattern=TEXT, hint="must be a string that is not blank"),
    "email": Field(required=True, pattern=EMAIL, hint="must be an email address"),
    "phone": Field(pattern=TEXT, hint="must be a string that is not blank"),
    "resume_url": Field(pattern=URL, hint="must be an http or https URL"),
}
SCREENING_FIELDS = {
    "candidate_id": Field(required=True, pattern=TEXT, hint="must be a candidate id"),
    "template_id": Field(required=True, pattern=TEXT, hint="must be a template id"),
    "job_title": Field(pattern=TEXT, hint="must be a string that is not blank"),
    "send_invitation": Field(),
}


def body_of(request: Request, fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return the JSON object of the request, or refuse it with a problem for each field."""
    content = json_body(request)
    problems = {name: "is not a known field" for name in content if name not in fields}
    for name, field in fields.items():
        problem = field.problem(content[name]) if name in content else field.absence
        if problem is not None:
            problems[name] = problem
    if problems:
        raise ApiError(400, "The request was malformed or missing required parameters", problems)
    return content


def json_body(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body of a request to the API."""
    if request.content_type.partition(";")[0].strip().lower() != JSON:
        raise ApiError(400, f"The request must have the header Content-Type: {JSON}")
    return json_object(request.body)


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that the bytes are."""
    if len(body) > MAX_BODY:
        raise ApiError(400, f"The request body must not be longer than {MAX_BODY} bytes")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(400, "The request body is not valid JSON") from None
    if not isinstance(content, dict):
        raise ApiError(400, "The request body must be a JSON object")
    return content


def query_of(request: Request, known: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the query parameters; unknown and repeated ones are refused."""
    if not request.query:
        return {}
    pairs = parse_qsl(request.query, keep_blank_values=True)
    query = dict(pairs)
    problems = {name: "is not a known parameter" for name in query if name not in known}
    if len(query) < len(pairs):
        problems |= dict.fromkeys(_repeated(pairs), "is given twice")
    if problems:
        raise ApiError(400, "The request has unknown parameters", problems)
    return query


def problems_of(error: ValidationError) -> str:
    """Return what is wrong with settings or options, in one line."""
    problems = [(".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, ")) for item in error.errors()]
    sentences = [(place, problem.replace("Input should", "must")) for place, problem in problems]
    return "; ".join(f"{place} {problem}" if place else problem for place, problem in sentences)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of a list is wanted."""

    number: int
    size: int


def page_of(query: Mapping[str, str]) -> PageRequest:
    """Return the page asked for; a ``limit`` above 100 is refused."""
    number = _positive(query, "page", 1)
    size = _positive(query, "limit", DEFAULT_PAGE_SIZE)
    if size > MAX_PAGE_SIZE:
        raise ApiError(400, "The request was malformed", {"limit": f"must be at most {MAX_PAGE_SIZE}"})
    return PageRequest(number, size)


def status_of(query: Mapping[str, str]) -> str:
    """Return which candidates are asked for; all when the filter is left out."""
    status = query.get("status", "all")
    if status not in {"active", "archived", "all"}:
        raise ApiError(400, "The request was malformed", {"status": "must be active, archived or all"})
    return status


def _positive(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name)
    if value is None:
        return default
    if not PAGE_NUMBER.fullmatch(value):
        raise ApiError(400, "The request was malformed", {name: "must be a positive integer"})
    return int(value)


def _repeated(pairs: list[tuple[str, str]]) -> set[str]:
    names = [name for name, _ in pairs]
    return {name for name in names if names.count(name) > 1}
