"""What is sent again after a 429 or another failure: one request from start to end, as a generator.

It says what to do, and the sync and the async client differ in nothing but how they carry out its four steps.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from pihupulse_provider.api.endpoints import Call, ResultT
from pihupulse_provider.api.errors import NotSentError, PihuPulseError, RateLimitedError, ServerError, TransportError
from pihupulse_provider.api.logs import OutageLog
from pihupulse_provider.api.rate_limit import Slot
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders
from pihupulse_provider.api.response import Response, decode

__all__ = ["RetryPolicy"]

log = logging.getLogger(__name__)
_LONGEST_RETRY_AFTER = 300.0
"""Seconds up to which a ``Retry-After`` is waited out; no reference names that header."""
_MOST_DOUBLINGS = 16
_FEWEST_ATTEMPTS = 5
"""Attempts that are made however long each takes: one response in twenty may be lost."""
_LOGGED_AFTER = 3
"""Failures of one request after which they are logged: one or two are nothing to worry about."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after how long a request is sent again.

    A GET is repeated after every fault that may pass; a POST only where it surely was not carried out: a
    refused connection, or a 429. A 429 waits as the rate limit says, not as ``base`` says.

    :param attempts: how often a request is sent at most, 429s not counted; None for five times, and as often as
        ``patience`` allows.
    :param limited_attempts: how many 429s a request is sent again after at most.
    :param base: seconds before the first repetition, doubled for each further one.
    :param longest: the longest such wait in seconds; a ``Retry-After`` may ask for more, up to five minutes.
    :param random: returns a number from 0 to 1; spreads the waits.
    :param patience: seconds from the first failure of a request during which it is sent again, however often: an outage
        of half a minute is waited out. A poll is not: it comes again anyway.
    """

    attempts: int | None = None
    limited_attempts: int = 20
    base: float = 0.5
    longest: float = 10.0
    random: Callable[[], float] = random.random
    patience: float = 60.0

    def wait(
        self, error: PihuPulseError, *, failures: int, limited: int, repeatable: bool, failing_seconds: float
    ) -> float | None:
        """Return the seconds to wait before sending again, or None to give up.

        :param error: what the last attempt ended in.
        :param failures: attempts so far that ended in anything but a 429.
        :param failing_seconds: how long ago the first attempt ended.
        :param limited: attempts so far that ended in a 429.
        :param repeatable: whether doing it twice does no harm.
        """
        if isinstance(error, RateLimitedError):
            return 0.0 if limited <= self.limited_attempts else None
        may_repeat = isinstance(error, NotSentError) or (repeatable and error.may_have_happened)
        if not may_repeat or self._is_over(failures, failing_seconds):
            return None
        wait = min(self.longest, self.base * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)) * self.jitter()
        if isinstance(error, ServerError) and error.retry_after is not None:
            return max(wait, min(error.retry_after, _LONGEST_RETRY_AFTER))
        return wait

    def _is_over(self, failures: int, failing_seconds: float) -> bool:
        if self.attempts is not None:
            return failures >= self.attempts
        return failures >= _FEWEST_ATTEMPTS and failing_seconds >= self.patience

    def jitter(self) -> float:
        """Return a share from 0.5 to 1."""
        return 0.5 + self.random() / 2


@dataclass(frozen=True)
class Reserve:
    """Take a slot of the account's rate limit; the driver replies with it once its time has come."""

    poll: bool


@dataclass(frozen=True)
class Send:
    """Send the call; the driver replies with the response, or with the transport error."""

    call: Call[Any]


@dataclass(frozen=True)
class Observe:
    """Correct the rate limit by what the response says of it."""

    slot: Slot
    headers: RateLimitHeaders


@dataclass(frozen=True)
class Sleep:
    """Wait that many seconds."""

    seconds: float


Step: TypeAlias = Reserve | Send | Observe | Sleep
Exchange: TypeAlias = Generator[Step, Any, ResultT]


class Exchanges:
    """The requests of one client.

    :param retry: when one is sent again. :param now: returns the time in epoch seconds.
    :param key_place: where the account's API key is kept; None when that is not known.
    """

    def __init__(self, retry: RetryPolicy, now: Callable[[], float], key_place: str | None = None) -> None:
        self._retry = retry
        self._now = now
        self._key_place = key_place
        self._outage = OutageLog(log)

    def start(self, call: Call[ResultT], *, poll: bool = False) -> Exchange[ResultT]:
        """Send a call until it succeeds or the retry policy gives up.

        :param poll: whether it only looks whether something has happened, and so gives way to other work.
        :raises TransportError: when no response came. :raises StatusError: when it was an error.
        :raises ResponseError: when it could not be understood.
        """
        failures = limited = 0
        failing_since = math.inf
        while True:
            slot: Slot = yield Reserve(poll)
            reply: Response | TransportError = yield Send(call)
            try:
                result = yield from self._result(call, slot, reply)
            except PihuPulseError as error:
                is_limited = isinstance(error, RateLimitedError)
                limited, failures = limited + is_limited, failures + (not is_limited)
                failing_since = min(failing_since, self._now())
                wait = self._retry.wait(
                    error,
                    failures=failures,
                    limited=limited,
                    repeatable=call.repeatable,
                    failing_seconds=math.inf if poll else self._now() - failing_since,
                )
                if wait is None:
                    raise
                if failures >= _LOGGED_AFTER:
                    self._outage.failed("%s It is sent again for a while.", error)
            else:
                self._outage.recovered("PihuPulse responds again.")
                return result
            if wait:
                yield Sleep(wait)

    def _result(self, call: Call[ResultT], slot: Slot, reply: Response | TransportError) -> Exchange[ResultT]:
        if isinstance(reply, TransportError):
            raise reply
        yield Observe(slot, reply.limits(self._retry.jitter()))
        return decode(call, reply, self._key_place)
