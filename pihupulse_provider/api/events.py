"""Webhook events, read leniently (API reference, "Webhooks")."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from pihupulse_provider.api.clock import read_iso
from pihupulse_provider.api.errors import ConfigurationError, PihuPulseError, kind_of

CANDIDATE_CREATED = "candidate.created"
SCREENING_CREATED = "screening.created"
SCREENING_STARTED = "screening.started"
SCREENING_COMPLETED = "screening.completed"
REPORT_GENERATED = "report.generated"
EVENTS = (CANDIDATE_CREATED, SCREENING_CREATED, SCREENING_STARTED, SCREENING_COMPLETED, REPORT_GENERATED)
"""The events that PihuPulse sends (API reference, "Available Events")."""
_LEAST, _MOST = -(2**63), 2**63 - 1
LONGEST = 255
"""The most characters that the name of an event or an id may have."""
_NOT_IN_NAMES = r"\x00-\x1f\x7f-\x9f\ufffd"
NAME_PATTERN = rf"[^{_NOT_IN_NAMES}]{{1,255}}"
"""What the name of an event or an id may look like: no control characters, so that it can be stored and logged, and
none that stands for what was no character."""
_NAME = re.compile(rf"[^{_NOT_IN_NAMES}\ud800-\udfff]{{1,255}}")
"""The same, also without half a surrogate pair, which JSON text may hold, escaped, though it is no character."""


def check_events(argument: str, names: Any, *, allow_unknown: bool) -> tuple[str, ...]:
    """Return the names of events; a text is one name.

    :raises ConfigurationError: if there is anything but names, or one is not documented, unless that is allowed.
    """
    is_list = isinstance(names, Iterable) and not isinstance(names, str | bytes | Mapping)
    found = tuple(names) if is_list else (names,)
    for one in found:
        if not isinstance(one, str) or not is_name(one):
            raise ConfigurationError(
                f"{argument} is or holds {kind_of(one)} that is no name of an event: give names such as "
                f"{SCREENING_COMPLETED}."
            )
    unknown = [name for name in found if name not in EVENTS]
    if unknown and not allow_unknown:
        raise ConfigurationError(
            f"{argument} is {unknown[0]!r}, and the events that PihuPulse documents are {', '.join(EVENTS)}. If it is "
            "a new one, set allow_unknown_event=True."
        )
    return found


class EventError(PihuPulseError, ValueError):
    """A body that is not an event; the message never holds any of it."""


@dataclass(frozen=True)
class WebhookEvent:
    """One event (API reference, "Webhook Payload").

    :ivar event: its name; names that the reference does not list are kept.
    :ivar created_at: when it happened by PihuPulse's clock; None when the body does not say.
    :ivar data: what it says; this can hold personal data.
    """

    event: str
    created_at: datetime | None = None
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, body: bytes | str) -> WebhookEvent:
        """Return the event in the raw body of a webhook.

        A byte order mark is skipped, and what is no character (bytes that are not UTF-8, half a surrogate pair) becomes
        U+FFFD: nobody may need the field that it is in.

        :raises EventError: if it is not a JSON object, is nested more than 200 deep, or names no event.
        """
        try:
            document = read_document(body)
        except (ValueError, RecursionError):
            raise EventError("The body is not a JSON document.") from None
        if not isinstance(document, dict):
            raise EventError("The body is not a JSON object.")
        name = _name(document.get("event"))
        if name is None:
            raise EventError(f'The body\'s "event" is not a name of at most {LONGEST} printable characters.')
        data = document.get("data")
        return cls(name, _moment(document.get("created_at")), data if isinstance(data, dict) else {})

    @property
    def screening_id(self) -> str | None:
        """Return the id of the screening that it is about."""
        return self._id("screening")

    @property
    def candidate_id(self) -> str | None:
        """Return the id of the candidate that it is about."""
        return self._id("candidate")

    @property
    def template_id(self) -> str | None:
        """Return the id of the screening's template."""
        return _text(self.data.get("template_id"))

    def public(self) -> dict[str, Any]:
        """Return what it says as plain JSON values, without anything personal: ids, status, score and times."""
        return {
            "event": self.event,
            "created_at": self.created_at.isoformat() if self.created_at else None,
            "screening_id": self.screening_id,
            "candidate_id": self.candidate_id,
            "template_id": self.template_id,
            "status": _text(self.data.get("status")),
            "score": _number(self.data.get("score")),
            "completed_at": _text(self.data.get("completed_at")),
        }

    def _id(self, what: str) -> str | None:
        # The reference shows one payload only; an event about a candidate may well call the candidate's id "id".
        named = _text(self.data.get(f"{what}_id"))
        return _text(self.data.get("id")) if named is None and self.event.startswith(f"{what}.") else named


def read_document(body: bytes | str) -> Any:
    """Return what a JSON text says, with U+FFFD for what is no character.

    :raises ValueError: if it is no JSON. :raises RecursionError: if it is nested too deep.
    """
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        return from_json(_repaired(body), allow_inf_nan=False)


def _repaired(body: bytes | str) -> str:
    """Return the JSON text with characters only, and with None for numbers of more digits than Python takes."""
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    document = json.loads(text.removeprefix("\ufeff"), parse_int=_whole_number)
    written = json.dumps(document, ensure_ascii=False)
    return written.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _whole_number(digits: str) -> int | None:
    return int(digits) if len(digits) < 400 else None


def _text(value: object) -> str | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return _name(str(value) if is_number else value)


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and is_name(value) else None


def is_name(text: str) -> bool:
    """Return whether a text can be stored and logged as the name of an event or an id."""
    return _NAME.fullmatch(text) is not None


def _number(value: object) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if carried(value) == value else None


def carried(value: Any) -> Any:
    """Return a JSON value as all take it that it passes through: MessagePack, other JSON parsers, PostgreSQL's JSONB.

    A whole number of more than 64 bits becomes the text of its digits, an infinite one (such as 1e999) None, and the
    character NUL U+FFFD.
    """
    match value:
        case dict():
            return {carried(name): carried(one) for name, one in value.items()}
        case list():
            return [carried(one) for one in value]
        case str():
            return value.replace("\0", "\ufffd")
        case int() if not _LEAST <= value <= _MOST:
            return str(value)
        case float() if not math.isfinite(value):
            return None
    return value


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return read_iso(value)
    except ValueError:
        return None
