"""How many of the screenings have to succeed."""

from __future__ import annotations

import math

from pihupulse_provider.api.errors import ConfigurationError

WaitFor = str | int | float


def parse_wait_for(wait_for: WaitFor) -> WaitFor:
    """Return ``"all"``, ``"any"``, a count (int) or a share (float); a number may come as a text from a template.

    :raises ConfigurationError: if it is none of them.
    """
    goal = _number(wait_for) if isinstance(wait_for, str) else wait_for
    if not _is_goal(goal):
        raise ConfigurationError(
            f'wait_for is {wait_for!r}: it must be "all", "any", a count of at least 1, or a share above 0 and up '
            "to 1.0, such as 0.9."
        )
    return goal


def needed(goal: WaitFor, total: int) -> int:
    """Return how many of ``total`` screenings have to succeed.

    :param goal: what :func:`parse_wait_for` returned.
    :raises ConfigurationError: if so many were not given.
    """
    if goal == "any":
        count = 1
    elif isinstance(goal, int):
        count = goal
    else:
        # A product such as 0.07 * 100 comes out a hair above the whole number that is meant.
        count = math.ceil((1.0 if goal == "all" else float(goal)) * total - 1e-9)
    if count > total:
        raise ConfigurationError(
            f"wait_for is {goal!r}, but {total} screenings were given: lower it, or give more screenings."
        )
    return count


def _is_goal(goal: WaitFor) -> bool:
    if isinstance(goal, str | bool):
        return goal in ("all", "any")
    return goal >= 1 if isinstance(goal, int) else 0 < goal <= 1


def _number(text: str) -> WaitFor:
    text = text.strip()
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text
