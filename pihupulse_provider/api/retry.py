"""When a failed request may be sent again, as a decision that somebody else carries out."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from pihupulse_provider.api.errors import NotSentError, PihuPulseError, RateLimitedError, ServerError

_LONGEST_TOLD = 300.0
"""Seconds up to which a ``Retry-After`` is waited out; no reference names that header."""
_MOST_DOUBLINGS = 16
_FEWEST = 5
"""Attempts that are made however long each takes: one answer in twenty may be lost."""


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
            return max(wait, min(error.retry_after, _LONGEST_TOLD))
        return wait

    def _is_over(self, failures: int, failing_seconds: float) -> bool:
        if self.attempts is not None:
            return failures >= self.attempts
        return failures >= _FEWEST and failing_seconds >= self.patience

    def jitter(self) -> float:
        """Return a share from 0.5 to 1."""
        return 0.5 + self.random() / 2
