"""One request from start to end, as a generator: it says what to do, and a driver does it.

The sync and the async client differ in nothing but how they carry out these four steps.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from pihupulse_provider.api.endpoints import Call, ResultT
from pihupulse_provider.api.errors import PihuPulseError, RateLimitedError, TransportError
from pihupulse_provider.api.rate_limit import Slot
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders
from pihupulse_provider.api.response import Response, decode
from pihupulse_provider.api.retry import RetryPolicy


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
