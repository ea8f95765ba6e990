"""The records of an account: candidates, and screenings with their life from pending to completed."""

from __future__ import annotations

from dataclasses import dataclass, field

from pihupulse_provider.sandbox.data import draw

PENDING = "pending"
STARTED = "in_progress"
COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast screenings go by themselves, in seconds.

    A screening starts ``start_seconds`` after its creation and takes ``screening_seconds``; each of the two is
    made up to ``spread`` (a share: 0.5 is 50%) longer or shorter, by the seed.
    """

    start_seconds: float = 2.0
    screening_seconds: float = 5.0
    spread: float = 0.0

    def times(self, seed: int, serial: int, created_at: float) -> tuple[float, float]:
        """Return when the screening starts and ends, in epoch seconds."""
        starts_at = created_at + self._varied(self.start_seconds, seed, serial, "start")
        return starts_at, starts_at + self._varied(self.screening_seconds, seed, serial, "length")

    def _varied(self, seconds: float, *salt: object) -> float:
        share = draw(0, *salt) / 2**31 - 1
        return seconds * (1 + self.spread * share)


@dataclass
class Screening:
    """A screening; a time of ``None`` never comes by itself, ``offset`` is as in ``Candidate``."""

    serial: int
    candidate_id: str
    template_id: str
    job_title: str | None
    created_at: float
    starts_at: float | None
    ends_at: float | None
    outcome: str = COMPLETED
    score: int | None = None
    changes: int = 0
    offset: int = 0

    @property
    def id(self) -> str:
        """The id, such as ``s67890``."""
        return f"s{self.offset + self.serial}"

    def status(self, now: float) -> str:
        """Return the status at ``now`` (epoch seconds)."""
        if self.ended(now):
            return self.outcome
        return STARTED if self.started(now) else PENDING

    def started(self, now: float) -> bool:
        """Tell whether the candidate has started."""
        return self.starts_at is not None and now >= self.starts_at

    def ended(self, now: float) -> bool:
        """Tell whether its outcome is there."""
        return self.ends_at is not None and now >= self.ends_at

    def completed(self, now: float) -> bool:
        """Tell whether it has a score and a report."""
        return self.outcome == COMPLETED and self.ended(now)

    def put(self, status: str, score: int | None, now: float) -> None:
        """Give it any status at once; it keeps ``pending``, ``in_progress`` and unknown ones until put again."""
        self.changes += 1
        if status == PENDING:
            self.starts_at = self.ends_at = None
        elif status == STARTED:
            self._start_by(now)
            self.ends_at = None
        else:
            if status == COMPLETED:
                self._start_by(now)
            elif not self.started(now):
                self.starts_at = None
            self.ends_at = now
            self.outcome = status
        if score is not None:
            self.score = score

    def _start_by(self, now: float) -> None:
        self.starts_at = now if self.starts_at is None else min(self.starts_at, now)


@dataclass
class Candidate:
    """A candidate; ``offset`` makes the ids of one start differ from those of another."""

    serial: int
    name: str
    email: str
    phone: str | None
    has_resume: bool
    created_at: float
    updated_at: float
    status: str = "active"
    offset: int = 0
    screenings: list[Screening] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The id, such as ``c12345``."""
        return f"c{self.offset + self.serial}"
