"""Keeps personal data out of messages."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable

_EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[A-Za-z]{2,}")
_PHONE = re.compile(r"\+?\d[\d ()./-]{7,}\d")
_URL = re.compile(r"https?://[^\s\"'<>]+")
_REDACTED = "[redacted]"
_EXCERPT = 200
_LOOKED_AT = 4 * _EXCERPT
"""Characters that are searched for personal data: more are left out, as the patterns take the square of the time."""


def scrub(text: str, personal: Iterable[str] = ()) -> str:
    """Return the start of ``text`` without e-mail addresses, phone numbers, links and the given personal values.

    A value is found in any case, and each of its words by itself; line breaks and runs of blanks become one blank.

    >>> scrub("jane@example.com already exists: Smith, Jane", ["Jane Smith"])
    '[redacted] already exists: [redacted], [redacted]'
    """
    text = " ".join(text[: 4 * _LOOKED_AT].split())[:_LOOKED_AT]
    for value in sorted(_with_words(personal), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", _REDACTED, text, flags=re.IGNORECASE)
    for pattern in (_URL, _EMAIL, _PHONE):
        text = pattern.sub(_REDACTED, text)
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"


def excerpt(body: bytes, personal: Iterable[str] = ()) -> str:
    """Return the start of a body as one scrubbed line, for a person to recognise what answered.

    Of JSON nothing is shown: any of it may be personal, and half a document does not say which.

    >>> excerpt(b"<h1>502 Bad Gateway</h1>")
    '<h1>502 Bad Gateway</h1>'
    >>> excerpt(b'{"data": [{"name": "Jane Smi')
    'JSON of 28 bytes'
    """
    start = body[: 4 * _LOOKED_AT].removeprefix(codecs.BOM_UTF8).lstrip()
    if b"\0" in start:
        return f"{len(body)} bytes that are no text"
    if start[:1] in (b"{", b"[", b'"'):
        return f"JSON of {len(body)} bytes"
    return scrub(start.decode("utf-8", "replace"), personal)


def _with_words(personal: Iterable[str]) -> set[str]:
    values = [" ".join(value.split()) for value in personal]
    words = {word.strip(",.;") for value in values for word in value.split()}
    return {value for value in (*values, *words) if len(value) > 1}
