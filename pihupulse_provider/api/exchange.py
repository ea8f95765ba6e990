"""One request from start to end, retries included, as a generator: it says what to do, and a driver does it.

The sync and the async client differ in nothing but how they carry out these four steps.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from pihupulse_provider.api.endpoints import Call, ResultT
from pihupulse_provider.api.errors import NotSentError, PihuPulseError, RateLimitedError, ServerError, TransportError
from pihupulse_provider.api.rate_limit import Slot
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders
from pihupulse_provider.api.response import Response, decode

__all__ = ["RetryPolicy"]

_LONGEST_TOLD = 300.0
"""Seconds up to which a ``Retry-After`` is waited out; no reference names that header."""
_MOST_DOUBLINGS = 16


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after how long a request is sent again.

    A GET is repeated after every fault that may pass; a POST only where it surely was not carried out: a
    refused connection, or a 429. A 429 waits as the rate limit says, not as ``base`` says.

    :param attempts: how often a request is sent at most, 429s not counted.
    :param limited_attempts: how many 429s a request is sent again after at most.
    :param base: seconds before the first repetition, doubled for each further one.
    :param longest: the longest such wait in seconds; a ``Retry-After`` may ask for more, up to five minutes.
    :param random: returns a number from 0 to 1; spreads the waits.
    """

    attempts: int = 5
    limited_attempts: int = 20
    base: float = 0.5
    longest: float = 30.0
    random: Callable[[], float] = random.random

    def wait(self, error: PihuPulseError, *, failures: int, limited: int, repeatable: bool) -> float | None:
        """Return the seconds to wait before sending again, or None to give up.

        :param error: what the last attempt ended in.
        :param failures: attempts so far that ended in anything but a 429.
        :param limited: attempts so far that ended in a 429.
        :param repeatable: whether doing it twice does no harm.
        """
        if isinstance(error, RateLimitedError):
            return 0.0 if limited <= self.limited_attempts else None
        may_repeat = isinstance(error, NotSentError) or (repeatable and error.may_have_happened)
        if not may_repeat or failures >= self.attempts:
            return None
        wait = min(self.longest, self.base * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)) * self.jitter()
        if isinstance(error, ServerError) and error.retry_after is not None:
            return max(wait, min(error.retry_after, _LONGEST_TOLD))
        return wait

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
    """Tell the rate limit what the response says of it."""

    slot: Slot
    headers: RateLimitHeaders


@dataclass(frozen=True)
class Sleep:
    """Wait that many seconds."""

    seconds: float


Step: TypeAlias = Reserve | Send | Observe | Sleep
Exchange: TypeAlias = Generator[Step, Any, ResultT]


def exchange(call: Call[ResultT], retry: RetryPolicy, *, poll: bool = False) -> Exchange[ResultT]:
    """Send a call until it succeeds or the retry policy gives up.

    :param poll: whether it only looks whether something has happened, and so gives way to other work.
    :raises TransportError: when no response came. :raises StatusError: when it was an error.
    :raises ResponseError: when it could not be understood.
    """
    failures = limited = 0
    while True:
        slot: Slot = yield Reserve(poll)
        reply: Response | TransportError = yield Send(call)
        try:
            if isinstance(reply, TransportError):
                raise reply
            yield Observe(slot, reply.limits(retry.jitter()))
            return decode(call, reply)
        except PihuPulseError as error:
            if isinstance(error, RateLimitedError):
                limited += 1
            else:
                failures += 1
            wait = retry.wait(error, failures=failures, limited=limited, repeatable=call.repeatable)
            if wait is None:
                raise
        if wait:
            yield Sleep(wait)
