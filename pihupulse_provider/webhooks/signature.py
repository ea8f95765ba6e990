"""Signatures: hex HMAC-SHA256 of the raw body (API reference, "Securing Webhooks"), and the secrets that check them."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from pihupulse_provider.api.errors import ConfigurationError, PihuPulseError
from pihupulse_provider.api.logs import OutageLog

SIGNATURE_HEADER = "X-PihuPulse-Signature"
_WELL_FORMED = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


def sign(body: bytes, secret: str) -> str:
    """Return the signature that PihuPulse sends with a raw body: 64 hexadecimal digits.

    >>> sign(b"Hello, World!", "It's a Secret to Everybody")
    '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    """
    return _digest(body, secret).hex()


def is_well_formed(signature: str) -> bool:
    """Return whether a header's value can be a signature at all."""
    return _WELL_FORMED.fullmatch(signature) is not None


def verify(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Return whether one of the secrets signed the raw body.

    Every secret is tried and each comparison takes the same time, so that the time taken tells nothing.
    An empty secret signs nothing.
    """
    if not is_well_formed(signature):
        return False
    given = bytes.fromhex(signature)
    matches = [hmac.compare_digest(_digest(body, secret), given) for secret in secrets if secret]
    return any(matches)


def _digest(body: bytes, secret: str) -> bytes:
    # hmac.digest() lets other threads run even for a short body, and then waits until the one that commits pauses.
    return hmac.new(secret.encode(), body, "sha256").digest()


LoadSecrets = Callable[[], Sequence[str]]
"""Reads a connection's current secrets; it may block.

It raises a ConfigurationError when it was read and has none that can be used, or when there is no such connection, and
anything else when that could not be found out.
"""


_log = logging.getLogger(__name__)
_LIFETIME = 30.0
"""Seconds after which secrets are read again, so that one taken off the list stops working."""
_GRACE = 600.0
"""Seconds for which they still count while they can't be read again."""
_INTERVAL = 1.0
"""The least number of seconds between two readings."""
_PATIENCE = 10.0
"""Seconds after which nobody waits any longer for a reading."""


class SecretsUnavailableError(PihuPulseError):
    """There is no secret, or none could be read, so that nobody can say whether a signature is good."""

    def __init__(self, connection: str) -> None:
        super().__init__(f"The webhook secrets of connection {connection} can't be read: the receiver's log says why.")


class SecretCache:
    """The secrets of one connection, read again when they are old or when a signature fits none of them.

    A signature that fits no known secret may be a new one's, so it is judged by secrets that were read after it came
    in. All that wait share one reading, and readings begin at least a second apart: what forgers send adds no more than
    that. A connection that was read and has no secret, or is not there any more, lets nothing in from then
    on; one that can't be read keeps the secrets that it had, for a while.

    :param connection: whose secrets they are.
    :param load: reads the current secrets; it runs in a thread.
    :param clock: returns a time in seconds that never goes back.
    :param sleep: waits that many seconds.
    """

    def __init__(
        self,
        connection: str,
        load: LoadSecrets,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._connection = connection
        self._load = load
        self._clock = clock
        self._sleep = sleep
        self._secrets: tuple[str, ...] = ()
        self._outage = OutageLog(_log, logging.ERROR)
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    def now(self) -> float:
        """Return the clock's time."""
        return self._clock()

    async def current(self) -> tuple[str, ...]:
        """Return the secrets, at most 30 seconds old, or ten minutes more while they can't be read.

        :raises SecretsUnavailableError: if there is none, or they can't be read for longer than that.
        """
        now = self._clock()
        if not self._secrets:
            return await self.newer_than(now)
        if now - self._read_at <= _LIFETIME:
            return self._secrets
        if now - self._tried_at >= _INTERVAL:
            await self._share_reading()
        if not self._secrets or self._clock() - self._read_at > _LIFETIME + _GRACE:
            raise SecretsUnavailableError(self._connection)
        return self._secrets

    async def newer_than(self, moment: float) -> tuple[str, ...]:
        """Return secrets that were read after ``moment``, a time of the clock.

        :raises SecretsUnavailableError: if there is none, or they can't be read now.
        """
        while self._tried_at < moment:
            await self._share_reading()
        if not self._secrets or self._read_at < moment:
            raise SecretsUnavailableError(self._connection)
        return self._secrets

    async def _share_reading(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(_PATIENCE):
                # Whoever gives up waiting must not take the reading away from the others.
                await asyncio.shield(self._reading)
        except TimeoutError:
            raise SecretsUnavailableError(self._connection) from None

    async def _read(self) -> None:
        if (wait := self._tried_at + _INTERVAL - self._clock()) > 0:
            await self._sleep(wait)
        began = self._clock()
        try:
            self._secrets = tuple(await asyncio.to_thread(self._load))
        except ConfigurationError as error:
            self._secrets = ()
            self._read_at = began
            self._log_problem(str(error))
        except Exception as error:
            # A secrets backend may put anything into its message.
            self._log_problem(str(error) if isinstance(error, PihuPulseError) else type(error).__name__)
        else:
            self._read_at = began
            self._outage.recovered("The webhook secrets of connection %s can be read again.", self._connection)
        self._tried_at = began

    def _log_problem(self, problem: str) -> None:
        self._outage.failed("The webhook secrets of connection %s can't be read: %s", self._connection, problem)
