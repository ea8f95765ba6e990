"""Keeps a connection's webhook secrets, so that a forged delivery costs no look-up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from pihupulse_provider.api.errors import PihuPulseError

LoadSecrets = Callable[[], Sequence[str]]
"""Reads a connection's current secrets; it may block."""


_log = logging.getLogger(__name__)


class SecretsUnavailableError(PihuPulseError):
    """The secrets could not be read, so that nobody can say whether a signature is good."""


class SecretCache:
    """The secrets of one connection, read again when they are old or when a signature fits none of them.

    A signature that fits no known secret may be a new one's, so it is judged by secrets that were read after it came
    in. All that wait share one reading, and readings begin at least ``interval`` seconds apart: what forgers send adds
    no more than that.

    :param connection: whose secrets they are.
    :param load: reads the current secrets; it runs in a thread.
    :param lifetime: seconds after which the secrets are read again, so that one taken off the list stops working.
    :param grace: seconds for which they still count while they can't be read again.
    :param interval: the least number of seconds between two readings.
    :param clock: returns a time in seconds that never goes back.
    :param sleep: waits that many seconds.
    """

    def __init__(
        self,
        connection: str,
        load: LoadSecrets,
        *,
        lifetime: float = 30.0,
        grace: float = 600.0,
        interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._connection = connection
        self._load = load
        self._lifetime = lifetime
        self._grace = grace
        self._interval = interval
        self._clock = clock
        self._sleep = sleep
        self._secrets: tuple[str, ...] = ()
        self._failing = False
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    def now(self) -> float:
        """Return the clock's time."""
        return self._clock()

    async def current(self) -> tuple[str, ...]:
        """Return the secrets, at most ``lifetime`` seconds old, or ``grace`` while they can't be read.

        :raises SecretsUnavailableError: if they can't be read for longer than that.
        """
        now = self._clock()
        if now - self._read_at <= self._lifetime:
            return self._secrets
        if now - self._tried_at >= self._interval:
            await self._share_reading()
        if self._clock() - self._read_at > self._lifetime + self._grace:
            raise SecretsUnavailableError(self._connection)
        return self._secrets

    async def newer_than(self, moment: float) -> tuple[str, ...]:
        """Return secrets that were read after ``moment``, a time of the clock.

        :raises SecretsUnavailableError: if they can't be read now.
        """
        while self._tried_at < moment:
            await self._share_reading()
        if self._read_at < moment:
            raise SecretsUnavailableError(self._connection)
        return self._secrets

    async def _share_reading(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        # Whoever gives up waiting must not take the reading away from the others.
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        if (wait := self._tried_at + self._interval - self._clock()) > 0:
            await self._sleep(wait)
        began = self._clock()
        try:
            self._secrets = tuple(await asyncio.to_thread(self._load))
        except Exception as error:
            self._tell_failure(error)
        else:
            self._read_at = began
            self._failing = False
        self._tried_at = began

    def _tell_failure(self, error: Exception) -> None:
        if not self._failing:
            what = f"{type(error).__name__}: {error}" if isinstance(error, PihuPulseError) else type(error).__name__
            _log.error("The webhook secrets of connection %s can't be read: %s", self._connection, what)
        self._failing = True
