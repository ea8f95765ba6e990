"""Deletes events that are too old to be kept, once an hour while a receiver runs."""

from __future__ import annotations

import asyncio
import logging

from pihupulse_provider.store.engine import Store, StoreError
from pihupulse_provider.store.retention import prune_older_than

_log = logging.getLogger(__name__)
_EVERY_SECONDS = 3600.0


class Retention:
    """Keeps the inbox of a store to what is younger than so many seconds."""

    def __init__(self, store: Store, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop: now, and then every hour."""
        self._task = self._task or asyncio.create_task(self._run())

    def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.to_thread(self._prune)
            await asyncio.sleep(_EVERY_SECONDS)

    def _prune(self) -> None:
        try:
            deleted = prune_older_than(self._store, self._seconds)
        except StoreError as error:
            _log.warning("Old events can't be deleted, which is tried again in an hour: %s", error)
        else:
            if deleted:
                _log.info("Deleted events older than %g days: %d.", self._seconds / 86400, deleted)
