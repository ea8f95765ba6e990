"""The terms of a wait, in one piece, so that none is lost between a task and its trigger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.waiting.packing import pack_screenings, unpack_screenings
from pihupulse_provider.waiting.screening_snapshot import NOT_FOUND, ScreeningSnapshot
from pihupulse_provider.waiting.statuses import FAILED, SUCCEEDED, Statuses
from pihupulse_provider.waiting.wait_for import WaitFor, parse_wait_for
from pihupulse_provider.waiting.wait_state import WaitState

End = Literal["decided", "deadline", "timeout", "error"]
"""How a wait ends: as what was seen decides, by time, or because PihuPulse refuses to be asked."""
GRACE = 60.0
"""Seconds from the start of a wait in which a screening need not show yet; later it counts as gone."""


def check_limits(timeout: float | None, deadline: float | None) -> None:
    """Check that a deadline comes before the timeout; both in seconds.

    :raises ConfigurationError: if it does not.
    """
    if deadline is not None and timeout is not None and deadline >= timeout:
        raise ConfigurationError(
            f"deadline is {deadline:g} s, which the timeout of {timeout:g} s would always forestall: make the "
            "deadline shorter, or the timeout longer."
        )


@dataclass(frozen=True)
class WaitSpec:
    """What a wait is for and how long it may take.

    :param screenings: the screenings' ids, each with its candidate's id or None.
    :param started_at: when the wait began, in epoch seconds; all other times count from it.
    :param wait_for: ``"all"``, ``"any"``, a count (int) or a share (float) of the screenings that has to succeed.
    :param succeeded_statuses: statuses that end a screening well. ``failed_statuses``: those that end it badly.
    :param interval: seconds between two looks at a screening.
    :param exponential_backoff: whether to wait longer and longer between two looks.
    :param max_wait: seconds between two looks at most.
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

    def watch(self) -> WaitState:
        """Return a watch that has seen nothing yet.

        :raises ConfigurationError: if more screenings are to succeed than there are.
        """
        statuses = Statuses(self.succeeded_statuses, self.failed_statuses)
        goal = parse_wait_for(self.wait_for)
        return WaitState(self.screenings, goal, statuses, best_effort=self.deadline is not None)

    @property
    def last_resort(self) -> Literal["deadline", "timeout"]:
        """Return what ends the wait if nothing else does."""
        return "timeout" if self.deadline is None else "deadline"

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds from now until the deadline, or else the timeout; None if there is neither."""
        limit = self.timeout if self.deadline is None else self.deadline
        return None if limit is None else self.started_at + limit - now

    def of(self, screenings: Mapping[str, str | None], started_at: float) -> WaitSpec:
        """Return the same terms for other screenings and another start."""
        return replace(self, screenings=screenings, started_at=started_at)

    def pause(self, now: float) -> float:
        """Return the seconds from now until the next look."""
        if not self.exponential_backoff:
            return self.interval
        pause = max(self.interval, now - self.started_at)
        return pause if self.max_wait is None else min(pause, self.max_wait)

    def gone(self, missing: set[str], now: float) -> list[ScreeningSnapshot]:
        """Return what to make of screenings that PihuPulse does not show: nothing, while they may be too new."""
        if now - self.started_at < GRACE:
            return []
        return [ScreeningSnapshot(one, self.screenings[one], NOT_FOUND) for one in missing if one in self.screenings]

    def dump(self) -> dict[str, Any]:
        """Return the terms as plain JSON values, the screenings packed."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        statuses = {name: list(values[name]) for name in ("succeeded_statuses", "failed_statuses")}
        return {**values, **statuses, "screenings": pack_screenings(self.screenings)}

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> WaitSpec:
        """Return what :meth:`dump` made."""
        return cls(**{**values, "screenings": unpack_screenings(values["screenings"])})
