"""Keeps personal data out of messages."""

from __future__ import annotations

import re
from collections.abc import Iterable

_EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[A-Za-z]{2,}")
_PHONE = re.compile(r"\+?\d[\d ()./-]{7,}\d")
_URL = re.compile(r"https?://[^\s\"'<>]+")
_EXCERPT = 200


def scrub(text: str, personal: Iterable[str] = ()) -> str:
    """Return ``text`` with e-mail addresses, phone numbers, links and the given personal values replaced.

    >>> scrub("jane@example.com already exists")
    '[redacted] already exists'
    """
    for value in sorted(filter(None, personal), key=len, reverse=True):
        text = re.sub(re.escape(value), "[redacted]", text, flags=re.IGNORECASE)
    for pattern in (_URL, _EMAIL, _PHONE):
        text = pattern.sub("[redacted]", text)
    return text


def excerpt(body: bytes, personal: Iterable[str] = ()) -> str:
    """Return the start of a body as one scrubbed line, for a person to recognise what answered."""
    text = " ".join(body[: 4 * _EXCERPT].decode("utf-8", "replace").split())
    text = scrub(text, personal)
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
