"""The value of a cell as the text that is meant: whole numbers keep their digits, and what is no text is refused.

What is created can't be deleted, so nothing is guessed: ``True``, a list or a number that has lost digits is an error.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from numbers import Integral, Number, Real
from typing import Any, NamedTuple

_MOST_DIGITS = 30
_EXACT = 2**53
"""From here on a float skips whole numbers (IEEE 754), so that its last digits may not be those that were meant."""
_EXACT_OF_SMALLER = {"float16": 2**11, "float32": 2**24}
_TOO_LARGE = "is a number too large for its digits to be known: give it as text"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_EDGES = re.compile(r"^[\s\u200c\u200d]+|[\s\u200c\u200d]+$")
_INVISIBLE = dict.fromkeys(
    (0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF), ""
)
_INVISIBLE |= dict.fromkeys((0xA0, 0x2007, 0x202F), " ")
"""What is not seen, or looks like a space; the joiners U+200C and U+200D are part of how names are written."""


class Unreadable(NamedTuple):
    """Stands for a value that its file holds and that can't be read."""

    reason: str


class Joined(tuple[Any, ...]):
    """Values that make one text, with a space between any two that are there."""

    __slots__ = ()


class NotTextError(ValueError):
    """A value that is no text; the message says what it is instead, as in "is a list, not text"."""


def known_digits(value: Any, kind: str) -> Any:
    """Return a number, or that it can't be read where its last digits may not be those that were meant.

    :param kind: what its file or database holds, ``float16`` or ``float32``: Python has it as an ordinary float.
    """
    return Unreadable(_TOO_LARGE) if value is not None and abs(value) >= _EXACT_OF_SMALLER[kind] else value


def cell_text(value: Any) -> str | None:
    """Return a value as text without invisible marks and spaces around it; None for what is empty, or NaN.

    :raises NotTextError: if it is no text, or a number whose digits are not all known.
    """
    text = _plain(value)
    if not text:
        return None
    if not text.isascii():
        if _SURROGATE.search(text):
            raise NotTextError("holds half a character (a lone surrogate)")
        text = _EDGES.sub("", text.translate(_INVISIBLE))
    text = text.strip()
    if _CONTROL.search(text):
        raise NotTextError("holds a control character, such as a line break")
    return text or None


def _plain(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Joined):
        return " ".join(part for part in map(cell_text, value) if part)
    if isinstance(value, Number) and not isinstance(value, bool):
        return _digits(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _decoded(bytes(value))
    raise NotTextError(value.reason if isinstance(value, Unreadable) else f"is {_kind(value)}, not text")


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise NotTextError("is bytes that are not UTF-8") from None


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", list: "a list", tuple: "a list", dict: "an object"}
    return kinds.get(type(value), f"a {type(value).__name__}")


def _digits(value: Any) -> str | None:
    if isinstance(value, Integral):
        return _short(int(value))
    if isinstance(value, Decimal):
        return _of_decimal(value)
    if not isinstance(value, Real):
        raise NotTextError(f"is {_kind(value)}, not text")
    number = float(value)
    if math.isnan(number):
        return None
    if math.isinf(number) or abs(number) >= _EXACT:
        raise NotTextError(_TOO_LARGE)
    return _whole(number)


def _of_decimal(value: Decimal) -> str | None:
    if value.is_nan():
        return None
    if value.is_infinite() or value.adjusted() >= _MOST_DIGITS:
        raise NotTextError("is a number of too many digits")
    return _whole(value)


def _whole(number: float | Decimal) -> str:
    if number != int(number):
        raise NotTextError("is a number with a fraction: give it as text")
    return str(int(number))


def _short(number: int) -> str:
    if abs(number) >= 10**_MOST_DIGITS:
        raise NotTextError("is a number of too many digits")
    return str(number)
