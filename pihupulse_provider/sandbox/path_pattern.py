"""Patterns of paths, such as ``/screenings/*/report``, and whether a documented request can have such a path."""

from __future__ import annotations

import re
from functools import cache

from pihupulse_provider.sandbox.routes import ENDPOINTS, PREFIX

OPERATIONS = [(method, route) for route, methods in ENDPOINTS.items() for method in methods]
_ID = "\0"
"""Stands for the id in a route: one or more of ``_ID_CHARACTER``."""
_ID_CHARACTER = re.compile(r"[\w?-]")
_ONE_OF = re.compile(r"\[!?.[^]]*\]")


def pattern_of(path: str) -> str:
    """Return the pattern below ``/v1``, for :mod:`fnmatch`; it may be written as the API reference writes a path."""
    return path.removeprefix(PREFIX).replace(":id", "*")


def is_documented(method: str | None, pattern: str) -> bool:
    """Tell whether a documented request can have this method, or any if None, and a path of this pattern."""
    plain = _ONE_OF.sub("?", pattern)
    return any(method in {None, one} and _meet(plain, route.replace(":id", _ID)) for one, route in OPERATIONS)


@cache
def _meet(pattern: str, route: str) -> bool:
    """Tell whether any text matches both."""
    if not pattern or not route:
        return not route and not pattern.strip("*")
    first, rest = pattern[0], pattern[1:]
    if first == "*":
        return _meet(rest, route) or _meet(pattern, route[1:])
    if route[0] == _ID:
        return _ID_CHARACTER.match(first) is not None and (_meet(rest, route) or _meet(rest, route[1:]))
    return first in {"?", route[0]} and _meet(rest, route[1:])
