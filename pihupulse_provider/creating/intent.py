"""One create's intent: in the ledger if it can be reached, and in memory in any case."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.store.ledger import Job, Ledger, Mark

log = logging.getLogger(__name__)


class Intent:
    """What is known of one create.

    :ivar object_id: the id it was given; None while that is not known.
    :ivar may_have_happened: whether it may have been sent before.
    :ivar since: nothing of it is older (epoch seconds); None when that is not known.
    :ivar sent_at: when it was sent last, as far as known.
    """

    def __init__(
        self,
        ledger: Ledger,
        job: str,
        key: bytes,
        *,
        first_try: bool,
        since: float | None,
        now: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._key = key
        self._now = now
        self._job: Job | None = None
        mark = self._open(job)
        self.object_id = mark.object_id if mark is not None else None
        self.may_have_happened = mark is not None or not first_try
        self.sent_at = mark.at if mark is not None else None
        self.since = self.sent_at if mark is not None else since

    def record(self) -> float:
        """Record that the request is about to be sent, and return when that is."""
        now = self._now()
        if not self.may_have_happened:
            self.since = now
        self.may_have_happened = True
        self.sent_at = now
        self._write(lambda job: self._ledger.dispatch(job, [Mark(self._key, self._key, now)]))
        return now

    def confirm(self, object_id: str) -> None:
        """Record the id of what was created."""
        self.object_id = object_id
        at = self.sent_at if self.sent_at is not None else self._now()
        self._write(lambda job: self._ledger.confirm(job, [Mark(self._key, self._key, at, object_id)]))

    def unclaimed(self, object_ids: Collection[str]) -> set[str]:
        """Return which of these ids the ledger does not know as another create's."""
        ids = list(object_ids)
        if self._job is None or not ids:
            return set(ids)
        try:
            return set(ids) - self._ledger.claimed(ids, besides=(self._job, self._key))
        except StoreError as error:
            self._give_up(error)
            return set(ids)

    def _open(self, name: str) -> Mark | None:
        try:
            self._job = self._ledger.open(name)
            return None if self._job.is_new else self._ledger.find(self._job, self._key)
        except StoreError as error:
            self._give_up(error)
            return None

    def _write(self, write: Callable[[Job], None]) -> None:
        if self._job is None:
            return
        try:
            write(self._job)
        except StoreError as error:
            self._give_up(error)

    def _give_up(self, error: StoreError) -> None:
        self._job = None
        log.warning(
            "%s. Going on without it: nothing is created twice, but a retry has to look through more of the list. "
            "Check [pihupulse] store_url.",
            error,
        )
