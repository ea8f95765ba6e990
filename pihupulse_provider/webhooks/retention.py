"""Stores deliveries, and now and then deletes what is too old to be kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from pihupulse_provider.store.cursors import forget_reads
from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.store.inbox import Delivery, Inbox

_log = logging.getLogger(__name__)
_PRUNE_EVERY = 3600.0


class Keeper:
    """Keeps an inbox to what is younger than its retention.

    :param retention: seconds for which an event is kept.
    :param clock: returns the time in epoch seconds.
    """

    def __init__(self, inbox: Inbox, retention: float, clock: Callable[[], float] = time.time) -> None:
        self._inbox = inbox
        self._retention = retention
        self._clock = clock
        self._pruned_at = float("-inf")

    def append(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """Store deliveries as :meth:`Inbox.append` does, and prune once an hour."""
        fresh = self._inbox.append(deliveries)
        if self._clock() - self._pruned_at >= _PRUNE_EVERY:
            self._pruned_at = self._clock()
            self._prune()
        return fresh

    def _prune(self) -> None:
        try:
            pruned = prune(self._inbox, self._clock() - self._retention)
        except StoreError as error:
            _log.warning("Old events can't be deleted, which is tried again in an hour: %s", error)
        else:
            if pruned:
                _log.info("Deleted %d events older than %g days.", pruned, self._retention / 86400)


def prune(inbox: Inbox, before: float) -> int:
    """Delete what is older than that time (epoch seconds); return how many events that were."""
    forget_reads(inbox.store, before)
    return inbox.prune(before)
