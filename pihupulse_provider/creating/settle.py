"""When a create whose answer was lost can be taken as decided."""

from __future__ import annotations

from collections.abc import Iterator

from pihupulse_provider.api.errors import PihuPulseError, ResponseError, ServerError

_SHOWN_AFTER = 3.0
"""Seconds within which a list is taken to show what the service has carried out."""
_SLOWEST = 1.5
"""How many times the connection's timeout a request may take to be carried out after its answer was given up."""
_FIRST_WAIT = 0.5


def settles_after(error: PihuPulseError, timeout: float) -> float:
    """Return the seconds from a request's sending after which it has been carried out or never will be.

    A service that answered itself is done with the request; a proxy's answer, or none, says nothing of that kind.
    """
    if isinstance(error, ResponseError) or (isinstance(error, ServerError) and error.status == 500):
        return _SHOWN_AFTER
    return longest(timeout)


def longest(timeout: float) -> float:
    """Return the seconds after which a request whose end is not known at all can have no more effect."""
    return _SLOWEST * timeout + _SHOWN_AFTER


def waits(seconds: float) -> Iterator[float]:
    """Return growing waits that add up to at least ``seconds``, and to at least the first of them.

    >>> list(waits(4))
    [0.5, 1.0, 2.0, 0.5]
    """
    wait, left = _FIRST_WAIT, max(seconds, _FIRST_WAIT)
    while left > 0:
        yield min(wait, left)
        left -= wait
        wait *= 2
