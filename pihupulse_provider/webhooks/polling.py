"""Fills the inbox from lists, where no webhook can come in, with what PihuPulse would have sent.

Each reading of a list stores an event for every stage that was reached since the list is followed, once, in the order
in which a candidate or a screening reached them. A list is followed since its first reading, or since the earliest time
that a reader wants events from. Of stages without a time, those that the first reading finds are taken for older.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime
from typing import Any, Generic

from pihupulse_provider.api import clock as process_clock
from pihupulse_provider.api import endpoints
from pihupulse_provider.api.client import Client
from pihupulse_provider.api.clock import SERVER_TIME_MARGIN, write_iso
from pihupulse_provider.api.endpoints import Call
from pihupulse_provider.api.events import (
    CANDIDATE_CREATED,
    EVENTS,
    REPORT_GENERATED,
    SCREENING_COMPLETED,
    SCREENING_CREATED,
    SCREENING_STARTED,
    WebhookEvent,
)
from pihupulse_provider.api.logs import utc
from pihupulse_provider.api.models import Candidate, ItemT, Page, Screening
from pihupulse_provider.api.pagination import RepeatedPages
from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.store.event_watermarks import EventWatermarks, Reach
from pihupulse_provider.store.inbox import Delivery, Inbox

log = logging.getLogger(__name__)
_SHARED_SECONDS = 1.0
"""Seconds after a reading in which those who want another one gather for it."""
_LOOK_SECONDS = 0.4
"""How often they look whether it has begun, and whether it has ended: more than once while they gather."""
_FIRST_PASSES = 3
"""How often a list is read at first at the most, while its length changes under the reading."""


@dataclass(frozen=True)
class Step:
    """One stage that a candidate or a screening has reached.

    :ivar at: when, by PihuPulse's clock; None where the list does not show it.
    :ivar events: what is reported of it.
    """

    stage: int
    at: datetime | None
    events: tuple[str, ...]
    data: dict[str, Any]

    def bodies(self) -> Iterator[bytes]:
        """Yield the events as raw bodies; the same step always gives the same bytes."""
        for event in self.events:
            created_at = {"created_at": write_iso(self.at)} if self.at else {}
            yield json.dumps({"event": event, **created_at, "data": self.data}).encode()


@dataclass(frozen=True)
class Followed(Generic[ItemT]):
    """A list that events are derived from.

    :ivar page: makes the call for a page of it.
    :ivar steps: returns the stages that a row has reached, in their order.
    """

    kind: str
    events: tuple[str, ...]
    page: Callable[[int], Call[Page[ItemT]]]
    steps: Callable[[ItemT], list[Step]]


def candidate_steps(candidate: Candidate) -> list[Step]:
    """Return the one stage of a candidate; the event holds nothing personal."""
    return [Step(1, candidate.created_at, (CANDIDATE_CREATED,), {"candidate_id": candidate.id})]


def screening_steps(screening: Screening) -> list[Step]:
    """Return the stages that a screening has reached; a completed one has a report."""
    ids = {
        "screening_id": screening.id,
        "candidate_id": screening.candidate_id,
        "template_id": screening.template_id,
    }
    steps = [Step(1, None, (SCREENING_CREATED,), ids)]
    if screening.started_at:
        steps.append(Step(2, screening.started_at, (SCREENING_STARTED,), ids))
    if screening.completed_at:
        result = {**ids, "score": screening.score, "completed_at": write_iso(screening.completed_at)}
        steps.append(Step(3, screening.completed_at, (SCREENING_COMPLETED, REPORT_GENERATED), result))
    return steps


CANDIDATES = Followed(
    "candidates",
    (CANDIDATE_CREATED,),
    lambda number: endpoints.list_candidates(number, endpoints.MAX_PAGE_SIZE, "all"),
    candidate_steps,
)
SCREENINGS = Followed(
    "screenings",
    (SCREENING_CREATED, SCREENING_STARTED, SCREENING_COMPLETED, REPORT_GENERATED),
    endpoints.list_screenings,
    screening_steps,
)
LISTS: tuple[Followed[Any], ...] = (CANDIDATES, SCREENINGS)


def _showing(events: Sequence[str]) -> list[Followed[Any]]:
    """Return the lists that show some of the events; all if none is named."""
    wanted = set(events) or set(EVENTS)
    return [followed for followed in LISTS if wanted.intersection(followed.events)]


@dataclass
class Poller:
    """Derives the events of a connection from polling; all that share a store share the readings.

    :param client: reads the lists, as polls that give way to other work.
    :param connection: the connection that the events are stored for.
    :param retention: how long the inbox keeps events, in seconds; none that happened before is reported.
    :param clock: returns the time in epoch seconds.
    :param sleep: waits that many seconds.
    """

    inbox: Inbox
    client: Client
    connection: str
    _: KW_ONLY
    retention: float
    clock: Callable[[], float] = process_clock.now
    sleep: Callable[[float], None] = time.sleep

    def poll(self, events: Sequence[str] = (), *, every: float = 0.0, since: float | None = None) -> int:
        """Read the lists that show the events, and return how many events were new.

        :param events: their names; all five if empty.
        :param every: a list that was read, or begun to be, by anybody in the last so many seconds is not read again.
        :param since: the next reading reports events from this time on (epoch seconds), even those from before the
            list was followed.
        :raises PihuPulseError: if PihuPulse or the store can't be reached; the reading is made up for next time.
        """
        return sum(self._poll(followed, every, since) for followed in _showing(events))

    def poll_anew(self, events: Sequence[str] = (), *, since: float | None = None) -> int:
        """Return how many events were new once the lists have been read from now on, be it by somebody else.

        All that ask for it at the same time share a reading, and one that goes on already is waited for first.
        """
        return sum(self._poll_anew(followed, since) for followed in _showing(events))

    def _poll(self, followed: Followed[Any], every: float, since: float | None) -> int:
        watermarks = self._watermarks(followed)
        return self._read_to_its_end(followed, watermarks) if watermarks.claim(every, self._kept(since)) else 0

    def _poll_anew(self, followed: Followed[Any], since: float | None) -> int:
        watermarks = self._watermarks(followed)
        was_free = is_anew = False
        while not watermarks.claim(_SHARED_SECONDS, self._kept(since)):
            if watermarks.is_being_read():
                is_anew = was_free
            elif is_anew:
                return 0
            else:
                was_free = True
            self.sleep(_LOOK_SECONDS)
        return self._read_to_its_end(followed, watermarks)

    def _watermarks(self, followed: Followed[Any]) -> EventWatermarks:
        return EventWatermarks(self.inbox.store, self.connection, self.client.account.key, followed.kind)

    def _kept(self, since: float | None) -> float | None:
        return None if since is None else max(since, self.clock() - self.retention)

    def _read_to_its_end(self, followed: Followed[Any], watermarks: EventWatermarks) -> int:
        try:
            return self._read(followed, watermarks)
        except BaseException:
            with suppress(StoreError):
                watermarks.end()
            raise

    def _read(self, followed: Followed[Any], watermarks: EventWatermarks) -> int:
        scope: _Scope | None = None
        stored = 0
        for _ in range(_FIRST_PASSES):
            lengths = set()
            for page in self._pages(followed):
                reach = watermarks.reach()
                if scope is None:
                    scope = _Scope.of(reach, self._served_at(page))
                    if scope.first:
                        watermarks.begin(scope.since)
                # Another first reading may have ended meanwhile: what is new from then on is not taken for older.
                scope = replace(scope, first=reach.reported is None)
                stored += self._take(followed, watermarks, page, scope)
                lengths.add(page.meta.total_count)
            # What shifted out of sight would look as if it were created before the next reading.
            if scope is None or not scope.first or len(lengths) == 1:
                break
        if scope is not None:
            watermarks.reported(scope.since)
            if scope.first:
                log.info(
                    "The list of %s was polled for the first time for %s: events since %s are reported, and none of "
                    "what happened before.",
                    followed.kind,
                    self.connection,
                    utc(scope.since),
                )
        return stored

    def _pages(self, followed: Followed[Any]) -> Iterator[Page[Any]]:
        number, repeated = 1, RepeatedPages(followed.page(1).name)
        while True:
            page = self.client.run(followed.page(number), poll=True)
            repeated.check(number, page)
            yield page
            if not page.data or number >= page.total_pages:
                return
            number += 1

    def _take(self, followed: Followed[Any], watermarks: EventWatermarks, page: Page[Any], scope: _Scope) -> int:
        steps = {row.id: followed.steps(row) for row in page.data}
        known = watermarks.stages(steps)
        bodies = [
            body
            for subject, reached in steps.items()
            for step in scope.among(reached, known.get(subject, 0))
            for body in step.bodies()
        ]
        # Stored first and remembered then: what is stored twice in between is known by its body.
        deliveries = [Delivery(self.connection, WebhookEvent.parse(body), body) for body in bodies]
        stored = sum(self.inbox.append(deliveries))
        watermarks.advance({subject: reached[-1].stage for subject, reached in steps.items()})
        return stored

    def _served_at(self, page: Page[Any]) -> float:
        served_at: datetime | None = page.served_at
        return served_at.timestamp() if served_at else self.clock()


@dataclass(frozen=True)
class _Scope:
    """What a reading reports.

    :ivar since: from when on, in epoch seconds.
    :ivar reported: from when on earlier readings have reported, or would have, in epoch seconds.
    :ivar first: whether there was no whole reading before.
    """

    since: float
    reported: float
    first: bool

    @classmethod
    def of(cls, reach: Reach, began: float) -> _Scope:
        """Return what a reading reports that began at some time."""
        reported = began if reach.reported is None else reach.reported
        since = reported if reach.wanted is None else min(reach.wanted, reported)
        return cls(since, reported, first=reach.reported is None)

    def among(self, reached: Sequence[Step], known: int) -> list[Step]:
        """Return what is to be reported of the stages that a row has reached, of which so many were seen before."""
        return [step for step in reached if self._has(step, known, reached)]

    def _has(self, step: Step, known: int, reached: Sequence[Step]) -> bool:
        if step.at is None:
            # A row with older stages is not new: the reading before missed it, because the list shifted.
            return not self.first and step.stage > known and not any(map(self._is_older, reached))
        is_new = step.stage > known or step.at.timestamp() < self.reported - SERVER_TIME_MARGIN
        return is_new and not self._is_older(step)

    def _is_older(self, step: Step) -> bool:
        return step.at is not None and step.at.timestamp() < self.since - SERVER_TIME_MARGIN
