"""A wait for screenings, and the one place that judges whether it is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pihupulse_provider.waiting.log import Log
from pihupulse_provider.waiting.screening_snapshot import ScreeningSnapshot
from pihupulse_provider.waiting.statuses import Statuses
from pihupulse_provider.waiting.wait_for import WaitFor, needed

State = Literal["waiting", "succeeded", "failed"]
_NAMED = 20
"""How many screenings a message names at most."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a wait stands.

    :ivar state: ``failed`` as soon as the goal can't be reached any more, unless the wait is a best effort.
    :ivar total: the number of screenings. ``completed``: those that succeeded.
    :ivar failed: the status of each that failed.
    """

    state: State
    total: int
    completed: int
    failed: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        waiting = self.total - self.completed - len(self.failed)
        return f"{self.completed} of {self.total} screenings completed, {len(self.failed)} failed, {waiting} waiting"

    def failures(self) -> str:
        """Return the failed screenings and their statuses, the first 20 by name."""
        named = [f"{screening_id} ({status})" for screening_id, status in self.failed.items()]
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        return ", ".join(named[:_NAMED]) + more


class WaitState:
    """What is awaited, and what of it was seen so far.

    :param screenings: the screenings' ids, each with its candidate's id or None.
    :param goal: how many have to succeed, as :func:`~pihupulse_provider.waiting.wait_for.parse_wait_for` returns it.
    :param statuses: what the statuses mean.
    :param best_effort: whether to go on when the goal can't be reached any more, until nothing waits.
    :raises ConfigurationError: if the goal asks for more screenings than were given.
    """

    def __init__(
        self,
        screenings: Mapping[str, str | None],
        goal: WaitFor = "all",
        statuses: Statuses | None = None,
        *,
        best_effort: bool = False,
    ) -> None:
        self.statuses = statuses or Statuses()
        self._best_effort = best_effort
        self._needed = needed(goal, len(screenings))
        self._seen = {one: ScreeningSnapshot(one, candidate) for one, candidate in screenings.items()}
        self._open = dict(screenings)
        self._failed: dict[str, str] = {}
        self._unknown: dict[str, str] = {}
        self._warned: set[str | None] = set()
        self._completed = 0

    def __len__(self) -> int:
        return len(self._seen)

    def __iter__(self) -> Iterator[ScreeningSnapshot]:
        """Iterate over what was last seen of each screening, in the order they were given."""
        return iter(self._seen.values())

    @property
    def open(self) -> Mapping[str, str | None]:
        """Return the screenings that still wait, each with its candidate's id if known."""
        return self._open

    def see(self, snapshots: Iterable[ScreeningSnapshot]) -> bool:
        """Take note of what was seen, and return whether any of it is news; an end is final."""
        news = False
        for snapshot in snapshots:
            if snapshot.screening_id in self._open:
                news |= self._note(snapshot)
        return news

    def judge(self) -> Verdict:
        """Return where the wait stands."""
        return Verdict(self._state(), len(self), self._completed, dict(self._failed))

    def warn(self, log: Log) -> None:
        """Say once of each status that was never heard of that it counts as waiting."""
        while self._unknown:
            status, screening_id = self._unknown.popitem()
            self._warned.add(status)
            log.warning(
                "PihuPulse gives screening %s the status %r, which counts as waiting: if it is an end, name it in "
                "succeeded_statuses or failed_statuses.",
                screening_id,
                status,
            )

    def _state(self) -> State:
        if self._completed >= self._needed:
            return "succeeded"
        if self._completed + len(self._open) >= self._needed:
            return "waiting"
        if self._best_effort:
            return "waiting" if self._open else "succeeded"
        return "failed"

    def _note(self, snapshot: ScreeningSnapshot) -> bool:
        before = self._seen[snapshot.screening_id]
        if snapshot.candidate_id is None:
            snapshot = snapshot._replace(candidate_id=before.candidate_id)
        if snapshot == before:
            return False
        self._seen[snapshot.screening_id] = snapshot
        self._open[snapshot.screening_id] = snapshot.candidate_id
        meaning = self.statuses.meaning(snapshot.status)
        if meaning == "unknown" and snapshot.status not in self._warned:
            self._unknown[str(snapshot.status)] = snapshot.screening_id
        elif meaning in ("succeeded", "failed"):
            self._end(snapshot, succeeded=meaning == "succeeded")
        return True

    def _end(self, snapshot: ScreeningSnapshot, *, succeeded: bool) -> None:
        del self._open[snapshot.screening_id]
        if succeeded:
            self._completed += 1
        else:
            self._failed[snapshot.screening_id] = str(snapshot.status)
