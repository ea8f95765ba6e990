"""One request from start to end, as a generator: it says what to do, and a driver does it.

The sync and the async client differ in nothing but how they carry out these four steps.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from pihupulse_provider.api.endpoints import Call, ResultT
from pihupulse_provider.api.errors import PihuPulseError, RateLimitedError, TransportError
from pihupulse_provider.api.outage_log import OutageLog
from pihupulse_provider.api.rate_limit import Slot
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders
from pihupulse_provider.api.response import Response, decode
from pihupulse_provider.api.retry import RetryPolicy

log = logging.getLogger(__name__)
_TOLD_AFTER = 3
"""Failures of one request after which the log tells of them: one or two are nothing to worry about."""


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


class Exchanges:
    """The requests of one client.

    :param retry: when one is sent again. :param now: returns the time in epoch seconds.
    """

    def __init__(self, retry: RetryPolicy, now: Callable[[], float]) -> None:
        self._retry = retry
        self._now = now
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
                if failures >= _TOLD_AFTER:
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
        return decode(call, reply)
