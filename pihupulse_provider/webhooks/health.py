"""Tells whether the inbox can be written, without asking the database for every question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pihupulse_provider.api.errors import PihuPulseError


class Health:
    """The health of the inbox.

    :param check: raises a PihuPulseError if it can't be written; it may block.
    :param lifetime: seconds for which an answer counts.
    :param patience: seconds after which a check that has not ended counts as failed.
    """

    def __init__(self, check: Callable[[], None], *, lifetime: float = 1.0, patience: float = 5.0) -> None:
        self._check = check
        self._lifetime = lifetime
        self._patience = patience
        self._lock = asyncio.Lock()
        self._checked_at = float("-inf")
        self._is_good = False

    async def is_good(self) -> bool:
        """Return whether the inbox can be written."""
        async with self._lock:
            if time.monotonic() - self._checked_at > self._lifetime:
                self._is_good = await self._try()
                self._checked_at = time.monotonic()
            return self._is_good

    async def _try(self) -> bool:
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.to_thread(self._check)
        except (PihuPulseError, TimeoutError):
            return False
        return True
