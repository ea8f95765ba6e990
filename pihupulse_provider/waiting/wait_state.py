"""What was seen of a wait's screenings, and the one judge of whether that is enough.

How long a wait may take is said in :mod:`~pihupulse_provider.waiting.wait_spec`.
"""

from __future__ import annotations

import base64
import json
import lzma
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pihupulse_provider.api.clock import write_iso
from pihupulse_provider.api.logs import Log, counted, named, shown_id
from pihupulse_provider.waiting.wait_spec import NOT_FOUND, Statuses, WaitSpec

if TYPE_CHECKING:
    from pihupulse_provider.api.models import CandidateScreening, Score, Screening

GRACE = 60.0
"""Seconds from the start of a wait in which a screening need not show yet; later it counts as gone."""
_STATUS = re.compile(r"\w[\w-]{0,39}")
"""What a status looks like; any other text that comes in its place is not repeated."""
_MOST_WARNED = 20
"""The most unknown statuses that a wait warns of."""


class ScreeningSnapshot(NamedTuple):
    """What PihuPulse showed of a screening, without anything personal.

    :ivar status: as the service wrote it; None while nothing was seen.
    :ivar score: None until the screening is completed.
    :ivar completed_at: as an ISO 8601 text; None until the screening is completed.
    """

    screening_id: str
    candidate_id: str | None = None
    status: str | None = None
    score: Score = None
    completed_at: str | None = None

    def public(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return self._asdict()


def snapshot_of(screening: Screening | CandidateScreening, candidate_id: str | None) -> ScreeningSnapshot:
    """Return what a list or a candidate's details show (API reference, "List Screenings", "Get Candidate")."""
    completed_at = write_iso(screening.completed_at) if screening.completed_at else None
    return ScreeningSnapshot(screening.id, candidate_id, screening.status, screening.score, completed_at)


def pack(snapshots: Iterable[ScreeningSnapshot]) -> str:
    """Return snapshots as ASCII text; ten thousand whose ids count up take a few kB."""
    # Columns, not rows: ids that count up lie side by side, and LZMA leaves almost nothing of them.
    columns = [list(column) for column in zip(*snapshots, strict=True)]
    document = json.dumps(columns, separators=(",", ":")).encode()
    return base64.b64encode(lzma.compress(document)).decode()


def unpack(text: str) -> list[ScreeningSnapshot]:
    """Return what :func:`pack` packed; columns that an earlier version left out are None."""
    columns: list[list[Any]] = json.loads(lzma.decompress(base64.b64decode(text)))
    return [ScreeningSnapshot(*row) for row in zip(*columns, strict=True)]


State = Literal["waiting", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a wait stands.

    :ivar state: ``failed`` as soon as the goal can't be reached any more, unless the wait has a deadline.
    :ivar total: the number of screenings. ``completed``: those that succeeded.
    :ivar failed: the status of each that failed.
    """

    state: State
    total: int
    completed: int
    failed: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        waiting = self.total - self.completed - len(self.failed)
        total = counted(self.total, "screening")
        return f"{self.completed:,} of {total} completed, {len(self.failed):,} failed, {waiting:,} waiting"

    def failures(self) -> str:
        """Return the failed screenings and their statuses, the first 20 by name."""
        return named([f"{shown_id(screening_id)} ({status})" for screening_id, status in self.failed.items()])

    def advice(self) -> str:
        """Return a sentence on those that PihuPulse does not show, behind a space; empty if it shows all."""
        if NOT_FOUND not in self.failed.values():
            return ""
        return (
            f" The account has no screening by an id that is {NOT_FOUND}: check that it is a screening's id, and not a "
            "candidate's or of another account, and whether the screening was deleted."
        )


class WaitState:
    """What is waited for, and what of it was seen so far.

    :ivar spec: what is waited for.
    :raises ConfigurationError: if more screenings are to succeed than there are.
    """

    def __init__(self, spec: WaitSpec) -> None:
        self.spec = spec
        self._statuses = Statuses(spec.succeeded_statuses, spec.failed_statuses)
        self._needed = spec.needed
        self._seen = {one: ScreeningSnapshot(one, candidate) for one, candidate in spec.screenings.items()}
        self._open = dict(spec.screenings)
        self._failed: dict[str, str] = {}
        self._unknown: dict[str, str] = {}
        self._warned: set[str | None] = set()

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
        """Take note of what was seen, and return whether any of it is new; an end is final."""
        is_new = False
        for snapshot in snapshots:
            if snapshot.screening_id in self._open:
                is_new |= self._note(snapshot)
        return is_new

    def gone(self, missing: set[str], now: float) -> list[ScreeningSnapshot]:
        """Return what to make of screenings that PihuPulse does not show: nothing, while they may be too new."""
        if now - self.spec.started_at < GRACE:
            return []
        mine = self.spec.screenings
        return [ScreeningSnapshot(one, mine[one], NOT_FOUND) for one in missing if one in mine]

    def judge(self) -> Verdict:
        """Return where the wait stands."""
        return Verdict(self._state(), len(self), self._completed, dict(self._failed))

    def warn(self, log: Log) -> None:
        """Say once of each status that nobody named that it counts as waiting."""
        while self._unknown:
            status, screening_id = self._unknown.popitem()
            if len(self._warned) < _MOST_WARNED:
                self._warned.add(status)
                log.warning(
                    "PihuPulse gives screening %s %s, which counts as waiting: if it is an end, name it in "
                    "succeeded_statuses or failed_statuses.",
                    screening_id,
                    f"the status {status!r}" if _STATUS.fullmatch(status) else "a status that is no word",
                )

    def dump(self, now: float) -> dict[str, Any]:
        """Return all of it as plain JSON values, for another process with another clock."""
        return {**self.spec.dump(now), "screenings": pack(self)}

    @classmethod
    def load(cls, values: Mapping[str, Any], now: float) -> WaitState:
        """Return what :meth:`dump` made, or version 1.0.0 did.

        :param now: the time by this process's clock.
        """
        seen = unpack(values["screenings"])
        state = cls(WaitSpec.load(values, {one.screening_id: one.candidate_id for one in seen}, now))
        state.see(seen)
        return state

    @property
    def _completed(self) -> int:
        return len(self._seen) - len(self._open) - len(self._failed)

    def _state(self) -> State:
        if self._completed >= self._needed:
            return "succeeded"
        if self._completed + len(self._open) >= self._needed:
            return "waiting"
        if self.spec.deadline is not None:
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
        meaning = self._statuses.meaning(snapshot.status)
        if meaning == "unknown" and snapshot.status not in self._warned:
            self._unknown[str(snapshot.status)] = snapshot.screening_id
        elif meaning in ("succeeded", "failed"):
            del self._open[snapshot.screening_id]
            if meaning == "failed":
                self._failed[snapshot.screening_id] = str(snapshot.status)
        return True
