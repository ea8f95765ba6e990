"""The account: candidates, screenings, templates, and what happened to them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Literal

from pihupulse_provider.sandbox.clock import Clock
from pihupulse_provider.sandbox.data import TEMPLATES, Template, person
from pihupulse_provider.sandbox.events import Event, Schedule
from pihupulse_provider.sandbox.journal import NoJournal
from pihupulse_provider.sandbox.records import Candidate, Pace, Screening
from pihupulse_provider.sandbox.rows import Rows
from pihupulse_provider.sandbox.views import Views

FIRST_CANDIDATE = 12345
FIRST_SCREENING = 67890
KEPT_EVENTS = 100_000
STATUSES = ("active", "archived")
HIGHEST_SCORE = 100

Order = Literal["newest-first", "oldest-first"]


class Account:
    """All state of the account, without HTTP.

    It reads no clock but the one given, and nothing runs by itself. ``id_offset`` is added to the numbers in ids.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int = 1,
        order: Order = "oldest-first",
        pace: Pace | None = None,
        templates: Iterable[Template] = TEMPLATES,
        journal: NoJournal | None = None,
        id_offset: int = 0,
    ) -> None:
        self.clock = clock
        self.seed = seed
        self.pace = pace or Pace()
        self.templates = {template.id: template for template in templates}
        self.lists = {status: Rows[Candidate](newest_first=order == "newest-first") for status in ("all", *STATUSES)}
        self.screening_list = Rows[Screening](newest_first=order == "newest-first")
        self.candidates: dict[str, Candidate] = {}
        self.screenings: dict[str, Screening] = {}
        self.invitations: list[dict[str, str]] = []
        self.events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self.views = Views(clock, seed, self.candidates, self.templates)
        self._id_offset = id_offset
        self._next_candidate = FIRST_CANDIDATE
        self._next_screening = FIRST_SCREENING
        self._schedule = Schedule()
        self._journal = journal or NoJournal()
        for entry in self._journal.read():
            self._replay(entry)

    def create_candidate(self, name: str, email: str, phone: str | None, resume_url: str | None) -> Candidate:
        """Create a candidate; the same email twice makes two."""
        now = self.clock.now()
        candidate = self._new_candidate(name, email, phone, now, has_resume=resume_url is not None)
        self._journal.write([_candidate_entry(candidate)])
        self.events.append(self.views.candidate_created(candidate))
        return candidate

    def insert_candidates(self, count: int, *, apart: float = 0.0) -> list[Candidate]:
        """Put in ``count`` generated candidates, ``apart`` seconds between them and the last one now, unannounced."""
        now = self.clock.now()
        added = []
        for left in range(count - 1, -1, -1):
            who = person(self.seed, self._next_candidate)
            at = now - left * apart
            added.append(self._new_candidate(who.name, who.email, who.phone, at, has_resume=True))
        self._journal.write(map(_candidate_entry, added))
        return added

    def set_status(self, candidate: Candidate, status: str) -> None:
        """Archive a candidate or make it active again."""
        if status not in STATUSES:
            raise ValueError(f"A candidate is {' or '.join(STATUSES)}, not {status}.")
        self.lists[candidate.status].remove(candidate)
        candidate.status = status
        candidate.updated_at = self.clock.now()
        self.lists[status].add(candidate)
        self._journal.write([_candidate_entry(candidate)])

    def delete_candidate(self, candidate: Candidate) -> None:
        """Delete a candidate and its screenings."""
        self._journal.write([{"deleted": candidate.id}])
        self._drop_candidate(candidate)

    def create_screening(
        self, candidate: Candidate, template: Template, job_title: str | None, *, invite: bool
    ) -> Screening:
        """Create a screening, and record an invitation if wanted."""
        screening = self._new_screening(candidate, template, job_title)
        entries = [_screening_entry(screening)]
        if invite:
            invitation = {"screening_id": screening.id, "candidate_id": candidate.id}
            self.invitations.append(invitation)
            entries.append({"invitation": invitation})
        self._journal.write(entries)
        self.events.append(self.views.screening_created(screening))
        return screening

    def insert_screenings(self, candidates: Iterable[Candidate], template: Template) -> list[Screening]:
        """Put in one screening for each of the candidates, unannounced and uninvited."""
        added = [self._new_screening(candidate, template, None) for candidate in candidates]
        self._journal.write(map(_screening_entry, added))
        return added

    def put_screening(self, screening: Screening, status: str, score: int | None = None) -> None:
        """Give a screening a status (and score, 0 to 100) now, whatever its pace; any string is a status."""
        if score is not None and score not in range(HIGHEST_SCORE + 1):
            raise ValueError(f"score must be a whole number from 0 to {HIGHEST_SCORE}")
        now = self.clock.now()
        self._collect(now)
        screening.put(status, score, now)
        self._schedule.plan(screening, now)
        self._journal.write([_screening_entry(screening)])

    def delete_screening(self, screening: Screening) -> None:
        """Delete a screening."""
        self._journal.write([{"deleted": screening.id}])
        self._drop_screening(screening)

    def collect(self) -> None:
        """Add the events that have become due to ``events``."""
        self._collect(self.clock.now())

    def _collect(self, now: float) -> None:
        for step in self._schedule.take(now):
            if step.step == "started":
                self.events.append(self.views.screening_started(step.screening))
            elif step.screening.completed(step.at):
                self.events.extend(self.views.screening_completed(step.screening))

    def _new_candidate(self, name: str, email: str, phone: str | None, at: float, *, has_resume: bool) -> Candidate:
        serial = self._next_candidate
        candidate = Candidate(serial, name, email, phone, has_resume, at, at, offset=self._id_offset)
        self._keep_candidate(candidate)
        return candidate

    def _new_screening(self, candidate: Candidate, template: Template, job_title: str | None) -> Screening:
        now = self.clock.now()
        serial = self._next_screening
        starts_at, ends_at = self.pace.times(self.seed, serial, now)
        screening = Screening(
            serial, candidate.id, template.id, job_title, now, starts_at, ends_at, offset=self._id_offset
        )
        self._keep_screening(screening)
        return screening

    def _keep_candidate(self, candidate: Candidate) -> None:
        self.candidates[candidate.id] = candidate
        self.lists["all"].add(candidate)
        self.lists[candidate.status].add(candidate)
        self._next_candidate = max(self._next_candidate, candidate.serial + 1)

    def _drop_candidate(self, candidate: Candidate) -> None:
        for screening in list(candidate.screenings):
            self._drop_screening(screening)
        del self.candidates[candidate.id]
        self.lists["all"].remove(candidate)
        self.lists[candidate.status].remove(candidate)

    def _keep_screening(self, screening: Screening) -> None:
        self.screenings[screening.id] = screening
        self.screening_list.add(screening)
        self.candidates[screening.candidate_id].screenings.append(screening)
        self._next_screening = max(self._next_screening, screening.serial + 1)
        self._schedule.plan(screening, self.clock.now())

    def _drop_screening(self, screening: Screening) -> None:
        screening.changes += 1
        del self.screenings[screening.id]
        self.screening_list.remove(screening)
        self.candidates[screening.candidate_id].screenings.remove(screening)

    def _replay(self, entry: dict[str, Any]) -> None:
        if "candidate" in entry:
            self._replay_candidate(Candidate(**entry["candidate"]))
        elif "screening" in entry:
            self._replay_screening(Screening(**entry["screening"]))
        elif "invitation" in entry:
            self.invitations.append(entry["invitation"])
        elif entry["deleted"] in self.candidates:
            self._drop_candidate(self.candidates[entry["deleted"]])
        else:
            self._drop_screening(self.screenings[entry["deleted"]])

    def _replay_candidate(self, candidate: Candidate) -> None:
        earlier = self.candidates.get(candidate.id)
        if earlier is None:
            self._keep_candidate(candidate)
            return
        self.lists[earlier.status].remove(earlier)
        earlier.status, earlier.updated_at = candidate.status, candidate.updated_at
        self.lists[earlier.status].add(earlier)

    def _replay_screening(self, screening: Screening) -> None:
        earlier = self.screenings.get(screening.id)
        if earlier is not None:
            self._drop_screening(earlier)
        self._keep_screening(screening)


def _candidate_entry(candidate: Candidate) -> dict[str, Any]:
    fields = {name: value for name, value in vars(candidate).items() if name != "screenings"}
    return {"candidate": fields}


def _screening_entry(screening: Screening) -> dict[str, Any]:
    return {"screening": asdict(screening)}
