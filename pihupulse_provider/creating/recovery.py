"""Finding what became of rows that were sent, or may have been, without a response.

A row that was sent at 12:00:00 with a timeout of 30 s, and got no response, is looked for after 0.5, 1, 2, 4, …
seconds. Found: it is adopted. By 12:00:48 it has been carried out, or never will be; a search that begins after that
and does not find it lets it be sent again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from pihupulse_provider.api.async_client import AsyncClient
from pihupulse_provider.api.clock import SERVER_TIME_MARGIN
from pihupulse_provider.api.errors import PihuPulseError, ResponseError, ServerError
from pihupulse_provider.api.logs import counted
from pihupulse_provider.creating.ledger_writer import MARK_HOLDS, WRITTEN_WITHIN, LedgerWriter
from pihupulse_provider.creating.lookup import Since
from pihupulse_provider.creating.resources import Found, Resource, Search
from pihupulse_provider.creating.row_table import RowTable
from pihupulse_provider.creating.rows import FoundRow, RowState
from pihupulse_provider.store.ledger import Job, Mark

log = logging.getLogger(__name__)
_CHUNK = 500
_FEW = 5000
"""Rows whose requests are kept in memory, to be looked for one by one where that is cheaper than the whole list."""
SHOWN_AFTER = 3.0
"""Seconds within which lists and details are taken to show what the service has carried out."""
_SLOWEST = 1.5
"""How many times the connection's timeout a request may take to be carried out, once there is a connection."""
_FIRST_WAIT = 0.5
_STORE_SECONDS = 5.0
"""How often a retry asks for a store that is away, before it goes on without it."""
_HAIR = 0.01
"""Seconds by which rounding may make a wait too short."""


def decided_at(error: PihuPulseError, sent_at: float, now: float, timeout: float) -> float:
    """Return from when on a request that has just ended so has been carried out, or never will be (epoch seconds).

    A service that responded itself is done with the request, now and perhaps no sooner. A proxy's response, or none,
    says nothing of that kind; it was waited for by ``timeout`` at most, but to connect can take long before that.
    """
    if isinstance(error, ResponseError) or (isinstance(error, ServerError) and error.status == 500):
        return now + SHOWN_AFTER
    return max(sent_at, now - timeout) + _SLOWEST * timeout + SHOWN_AFTER


@dataclass
class Recovery:
    """Looks in the service's lists for the rows of a run.

    :param new_only: whether what is there already does for no row: then none is given what a forgotten job may have
        created.
    :ivar ambiguous: ids of which it can't be told which row's they are, if any.
    """

    rows: RowTable
    resource: Resource
    writer: LedgerWriter
    client: AsyncClient
    sleep: Callable[[float], Awaitable[None]]
    new_only: bool
    ambiguous: set[str] = field(default_factory=set, init=False)
    _known_at: float | None = field(default=None, init=False)
    _earlier_decided_at: float = field(default=0.0, init=False)
    """When the last request of an earlier try is over, at the latest."""

    async def open(self, fingerprint: str | None, *, is_first: bool) -> Job | None:
        """Take the job; None if the store is away.

        A retry that learns nothing from the ledger waits until nothing is on its way any more that an earlier try sent.
        """
        # An earlier run finds out that it has lost the job with its next mark, and so may send that much longer.
        decided_after = _SLOWEST * self.client.account.timeout + SHOWN_AFTER + MARK_HOLDS + WRITTEN_WITHIN
        self._earlier_decided_at = self.writer.ledger.now() + decided_after
        job = await self.writer.open(fingerprint, decided_after)
        if is_first or not (job is None or job.is_new):
            return job
        log.info("The store knows nothing of this task's earlier tries: waiting for what they may have sent last.")
        while (job is None or job.is_new) and (left := self._earlier_decided_at - self.writer.ledger.now()) > 0:
            await self.sleep(left if job else min(left, _STORE_SECONDS))
            job = job or await self.writer.open(fingerprint, decided_after)
        return job

    async def look_before_sending(self, *, read_all: bool) -> None:
        """Look for what an earlier try may have sent without a mark, so that the rows that still wait were not sent.

        Where the list shows some, that try went on without its store, and more of it may still be on its way.

        :param read_all: whether to read everything that there is: what shows later is new.
        """
        waiting = self.rows.count(RowState.WAITING)
        await self._look_once(read_all=read_all)
        left = self._earlier_decided_at - self.writer.ledger.now()
        if self.rows.count(RowState.WAITING) < waiting and left > 0:
            log.info("An earlier try went on without the store: waiting for what it may have sent last.")
            await self.sleep(left)
            await self._look_once(read_all=read_all)
        self.rows.assume_not_sent()

    async def _look_once(self, *, read_all: bool) -> None:
        if read_all:
            began_at = self.writer.ledger.now()
            await self._search(None, sent=False)
            self._known_at = began_at
        else:
            await self.search()

    async def search(self) -> None:
        """Read what appeared since the first row that may have been sent was, and give rows what is theirs."""
        since = None if self.rows.sent_since(0.0) is None else self._since
        await self._search(since, sent=True)

    async def resolve(self) -> None:
        """Look for the unsure rows until all are found, or never will be carried out and may be sent again.

        Those that were sent long ago are decided by the first look, so that the next ones read the newest pages only.
        """
        again = 0
        for wait in _waits(self.rows.unsure_until() - self.writer.ledger.now() + _HAIR):
            if not self.rows.count(RowState.UNSURE):
                break
            await self.sleep(wait)
            looked_at = self.writer.ledger.now()
            await self.search()
            again += self.rows.requeue_not_found(looked_at)
        if again:
            log.info(
                "%s sent without a response and not to be found: sending again.", counted(again, self.resource.noun)
            )

    def _since(self) -> float:
        return self.rows.sent_since(self._ahead()) or 0.0

    def _ahead(self) -> float:
        now = self.writer.ledger.now()
        return self.client.time.earliest(now) - now

    async def _search(self, since: Since | None, *, sent: bool) -> None:
        self.rows.forget_found()
        bodies = self.rows.in_question(_FEW, sent=sent)
        search = Search(since, bodies, self.rows.unknown)
        async for found in self.resource.find(self.client, search):
            self.rows.found(self._found(one) for one in found)
        # Only now: whatever shows in the list, the try before this one may have told the ledger in the meantime.
        await self.writer.learn()
        await self._claim()
        self.ambiguous.update(self.rows.adopt(self.writer.ledger.now(), self._ahead(), await self._new_since()))
        await self.writer.catch_up()

    def _found(self, one: Found) -> FoundRow:
        key = self.writer.ledger.digest(self.resource.noun, *one.key)
        known_at = self.client.time.earliest(self._known_at) if self._known_at is not None else None
        moments = [moment for moment in (one.not_before, known_at) if moment is not None]
        return FoundRow(one.id, key, one.at, max(moments, default=None), one.has_failed)

    async def _claim(self) -> None:
        """Leave to other jobs what is theirs.

        An id that the ledger knows for something else, or from before the object can have been there, is another
        object's: a PihuPulse that begins anew gives its ids a second time.
        """
        adoptable = list(self.rows.adoptable())
        for start in range(0, len(adoptable), _CHUNK):
            chunk = {identifier: (key, not_before) for identifier, key, not_before in adoptable[start : start + _CHUNK]}
            self.rows.claim(
                mark.object_id
                for mark in await self.writer.claims(list(chunk))
                if mark.object_id is not None and self._is_of(mark, *chunk[mark.object_id])
            )

    async def _new_since(self) -> float:
        """Return from when on the ledger knows all that its jobs created (epoch seconds of the service's clock)."""
        forgotten = await self.writer.forgotten_until() if self.new_only else None
        return 0.0 if forgotten is None else self.client.time.latest(forgotten)

    def _is_of(self, mark: Mark, key: bytes, not_before: float | None) -> bool:
        claimed_at = self.client.time.latest(mark.at) if mark.service_time is None else mark.service_time
        return mark.key == key and (not_before is None or not_before <= claimed_at + SERVER_TIME_MARGIN)


def _waits(seconds: float) -> Iterator[float]:
    """Return growing waits that add up to at least ``seconds``, and to at least the first of them.

    >>> list(_waits(4))
    [0.5, 1.0, 2.0, 0.5]
    """
    wait, left = _FIRST_WAIT, max(seconds, _FIRST_WAIT)
    while left > 0:
        yield min(wait, left)
        left -= wait
        wait *= 2
