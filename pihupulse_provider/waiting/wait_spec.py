"""What a wait is for, how long it may take, and what ends it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.api.logs import counted, duration, named, shown_id, utc

WaitFor = str | int | float
End = Literal["decided", "deadline", "timeout", "error"]
"""How a wait ends: as what was seen decides, by time, or because PihuPulse refuses to be polled."""
SUCCEEDED = ("completed",)
"""API reference, "List Screenings"."""
FAILED = ("failed", "cancelled", "canceled", "expired", "declined")
"""The reference shows no status of this kind: these are the words such services use."""
_UNDER_WAY = ("pending", "started", "in_progress")
"""``pending`` is in the reference ("List Screenings"); the event ``screening.started`` implies one of the others."""
NOT_FOUND = "not_found"
"""The status of a screening that PihuPulse does not show; it is ours, the service never says it."""

Meaning = Literal["succeeded", "failed", "waiting", "unknown"]


@dataclass(frozen=True)
class WaitSpec:
    """What a wait is for and how long it may take.

    :param screenings: the screenings' ids, each with its candidate's id or None.
    :param started_at: when the wait began, by :func:`pihupulse_provider.api.clock.now`; other times count from it.
    :param wait_for: ``"all"``, ``"any"``, a count (int) or a share (float) of the screenings that has to succeed.
    :param succeeded_statuses: statuses that end a screening well. ``failed_statuses``: those that end it badly.
    :param interval: seconds between two polls of a screening.
    :param exponential_backoff: whether to wait longer and longer between two polls.
    :param max_wait: seconds between two polls at most.
    :param timeout: seconds after which the wait fails; None for never.
    :param deadline: seconds after which it ends with what there is; None for never.
    :raises ConfigurationError: if they can't work together.
    """

    screenings: Mapping[str, str | None]
    started_at: float
    wait_for: WaitFor = "all"
    succeeded_statuses: tuple[str, ...] = SUCCEEDED
    failed_statuses: tuple[str, ...] = FAILED
    interval: float = 60.0
    exponential_backoff: bool = False
    max_wait: float | None = None
    timeout: float | None = None
    deadline: float | None = None

    def __post_init__(self) -> None:
        for name in ("succeeded_statuses", "failed_statuses"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_limits(self.timeout, self.deadline)

    @property
    def needed(self) -> int:
        """Return how many screenings have to succeed.

        :raises ConfigurationError: if so many were not given.
        """
        return needed(parse_wait_for(self.wait_for), len(self.screenings))

    @property
    def limit(self) -> float | None:
        """Return the seconds from the start after which the wait ends in any case; None if it never does."""
        return self.timeout if self.deadline is None else self.deadline

    @property
    def last_resort(self) -> Literal["deadline", "timeout"]:
        """Return what ends the wait if nothing else does."""
        return "timeout" if self.deadline is None else "deadline"

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds from now until the limit; None if there is none."""
        return None if self.limit is None else self.started_at + self.limit - now

    def of(self, screenings: Mapping[str, str | None], started_at: float) -> WaitSpec:
        """Return the same for other screenings and another start."""
        return replace(self, screenings=screenings, started_at=started_at)

    def pause(self, now: float) -> float:
        """Return the seconds from now until the next poll."""
        if not self.exponential_backoff:
            return self.interval
        pause = max(self.interval, now - self.started_at)
        return pause if self.max_wait is None else min(pause, self.max_wait)

    def describe(self) -> str:
        """Return what is waited for, since when, how often it is polled, and what ends the wait; the ids come last."""
        total = len(self.screenings)
        count = counted(total, "screening")
        goal = count if self.needed == total else f"{self.needed:,} of {count}"
        grows = ", and less and less often" if self.exponential_backoff else ""
        waited_for = named([shown_id(one) for one in self.screenings]) or "none"
        fails = "" if self.deadline is not None else " It fails as soon as too many have failed for that."
        return (
            f"Waiting since {utc(self.started_at)} for {goal} to be completed. Polled every {duration(self.interval)}"
            f"{grows}. {self._describe_limit()}{fails} Waited for: {waited_for}."
        )

    def _describe_limit(self) -> str:
        if self.limit is None:
            return "There is no timeout."
        end = f"{utc(self.started_at + self.limit)}, after {duration(self.limit)}"
        if self.deadline is None:
            return f"It times out at {end}."
        return f"The deadline, when it ends with what there is, is at {end}."

    def dump(self, now: float) -> dict[str, Any]:
        """Return all but the screenings as plain JSON values.

        Where the values go the clock may be another one, so they hold how long the wait has taken, not when it began.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["screenings"], values["started_at"]
        statuses = {name: list(values[name]) for name in ("succeeded_statuses", "failed_statuses")}
        return {**values, **statuses, "waited": now - self.started_at}

    @classmethod
    def load(cls, values: Mapping[str, Any], screenings: Mapping[str, str | None], now: float) -> WaitSpec:
        """Return what :meth:`dump` made; version 1.0.0 dumped when the wait began."""
        own = {**values, "screenings": screenings}
        if "waited" in own:
            own["started_at"] = now - own.pop("waited")
        return cls(**own)


class Statuses:
    """Says what a status means; upper and lower case are alike.

    :param succeeded: statuses that end a wait well.
    :param failed: statuses that end it badly.
    :raises ConfigurationError: if a status is in both.
    """

    def __init__(self, succeeded: Iterable[str] = SUCCEEDED, failed: Iterable[str] = FAILED) -> None:
        self.succeeded = _folded(succeeded, "succeeded_statuses")
        self.failed = _folded(failed, "failed_statuses")
        if both := sorted(set(self.succeeded) & set(self.failed)):
            raise ConfigurationError(
                f"{', '.join(both)} can't be in both succeeded_statuses and failed_statuses: take it out of one."
            )
        self._meanings: dict[str, Meaning] = {
            **dict.fromkeys(_UNDER_WAY, "waiting"),
            **dict.fromkeys(self.succeeded, "succeeded"),
            **dict.fromkeys((*self.failed, NOT_FOUND), "failed"),
        }

    def meaning(self, status: str | None) -> Meaning:
        """Return what a status means; ``unknown`` is a wait that somebody should be told of."""
        return "waiting" if status is None else self._meanings.get(status.casefold(), "unknown")


def check_limits(timeout: float | None, deadline: float | None) -> None:
    """Check that a deadline comes before the timeout; both in seconds.

    :raises ConfigurationError: if it does not.
    """
    if deadline is not None and timeout is not None and deadline >= timeout:
        raise ConfigurationError(
            f"deadline is {duration(deadline)}, which a timeout of {duration(timeout)} would always forestall: make "
            "the deadline shorter, or the timeout longer."
        )


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
        were = "was" if total == 1 else "were"
        raise ConfigurationError(
            f"wait_for is {goal!r}, but {counted(total, 'screening')} {were} given: lower it, or give more screenings."
        )
    return count


def _is_goal(goal: object) -> bool:
    if isinstance(goal, str | bool):
        return goal in ("all", "any")
    return goal >= 1 if isinstance(goal, int) else isinstance(goal, float) and 0 < goal <= 1


def _number(text: str) -> WaitFor:
    text = text.strip()
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text


def _folded(statuses: Iterable[str], argument: str) -> tuple[str, ...]:
    if isinstance(statuses, str):
        raise ConfigurationError(f"{argument} is the text {statuses!r}: it must be a list of statuses.")
    return tuple(dict.fromkeys(status.casefold() for status in statuses))
