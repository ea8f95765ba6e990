"""What the headers of a response make of an account's rate limit; they never loosen it past the plan.

The example of :mod:`~pihupulse_provider.api.rate_limit` goes on: with 60 requests a minute and a burst of 4, a 429 with
``Retry-After: 20`` at 106.0 sets ``paused_until`` to 126.0 and ``full_at`` to 128.0, so that after the pause requests
begin one by one, and counts up ``voided``, so that every slot taken before is void. A 429 that says nothing
pauses for 1, 2, 4, … up to 60 seconds, by ``consecutive_429s``; it also multiplies ``contention`` by 1.2, the factor by
which slots are spaced wider, since others may be using the account unseen, and each success takes a hundredth of the
excess back: 1.2, 1.198, 1.196, … It is a fifth where the headers say that enough remains: nobody else wants it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pihupulse_provider.api.rate_limit import (
    LONGEST_PAUSE,
    MINUTE,
    MOST_CONTENTION,
    ROUNDING,
    LimitState,
    Slot,
    plan_for_limit,
)

_MOVED = 1.5
"""A reset that moves by more seconds than this (headers count whole ones) before it is reached is no window's end."""
_REORDERED, _REORDERED_SHARE = 100, 1 / 8
"""Requests that may overtake each other on the way to the server, or that share of the limit if that is more: large
fleets have that many reserved."""
_LONGEST_BACKOFF = MINUTE
_MOST_DOUBLINGS = 16
_SLOWER, _EASED, _ALONE = 1.2, 0.99, 1.001
"""How the contention factor grows at a 429 and shrinks with each success, and from when it counts as 1."""
_EASED_BY_ROOM = 0.8
"""How it shrinks while the service says that nobody uses what we leave."""
_ROOM = 10
"""Requests that must remain for that, beside those that are never spent."""


@dataclass(frozen=True)
class RateLimitHeaders:
    """What a response says about the limit; every number may be missing.

    :ivar sent_at: when the request went out. ``received_at``: when the response was in.
    :ivar limited: whether it was a 429. ``retry_after``: seconds, from the header of that name.
    :ivar limit: ``X-RateLimit-Limit``. ``remaining``: ``X-RateLimit-Remaining``.
    :ivar resets_in: seconds from the server's own ``Date`` to ``X-RateLimit-Reset``, so that clock skew cancels out;
        see :attr:`reset` for when it counts.
    :ivar backoff: the share (0.5 to 1) of the exponential pause to take when a 429 says nothing else.
    :ivar served_at: the server's own time, from ``Date``, in its epoch seconds.
    """

    sent_at: float
    received_at: float
    limited: bool = False
    retry_after: float | None = None
    limit: float | None = None
    remaining: int | None = None
    resets_in: float | None = None
    backoff: float = 1.0
    served_at: float | None = None

    @property
    def seconds_ahead(self) -> float | None:
        """Return by how much the clock that timed it is surely ahead of the server's; None if that did not say."""
        if self.served_at is None:
            return None
        if self.served_at < self.sent_at:
            return self.sent_at - self.served_at
        return min(0.0, self.received_at - self.served_at)

    @property
    def reset(self) -> float | None:
        """Return in how many seconds the limit resets, if that is ahead within the minute: all else is a mistake."""
        is_ahead = self.resets_in is not None and 0 < self.resets_in <= MINUTE + ROUNDING
        return self.resets_in if is_ahead else None


def observe(state: LimitState, slot: Slot, headers: RateLimitHeaders) -> LimitState:
    """Correct the state by a response's headers; they never loosen it past the plan."""
    state = _learn_plan(state, headers)
    state = _learn_window(state, slot, headers)
    if headers.limited:
        return _pause(state, slot, headers)
    if state.consecutive_429s or state.contention > 1:
        state = replace(state, consecutive_429s=0, contention=_ease(state, headers))
    if headers.remaining is None or (headers.limit is not None and headers.remaining >= headers.limit):
        return state
    # The header counts whole tokens, so up to one more may be left than it says.
    spent = max(0.0, state.plan.burst - headers.remaining - 1)
    full_at = headers.sent_at + spent * state.plan.interval
    return replace(state, full_at=full_at) if full_at > state.full_at else state


def _ease(state: LimitState, headers: RateLimitHeaders) -> float:
    never_spent = state.plan.burst - state.plan.spendable
    has_room = headers.remaining is not None and headers.remaining > never_spent + _ROOM
    eased = 1 + (state.contention - 1) * (_EASED_BY_ROOM if has_room else _EASED)
    return eased if eased > _ALONE else 1.0


def _learn_plan(state: LimitState, headers: RateLimitHeaders) -> LimitState:
    if not headers.limit:
        return state
    advertised = plan_for_limit(headers.limit)
    if advertised == state.advertised:
        return state
    before = state.plan
    owed = max(0.0, state.full_at - headers.received_at) / before.interval
    state = replace(state, advertised=advertised)
    is_smaller = state.plan.requests_per_minute < before.requests_per_minute
    if is_smaller:
        # All slots become void, and no more than the burst can be spent.
        owed = min(owed, state.plan.spendable)
    return replace(
        state,
        full_at=headers.received_at + owed * state.plan.interval,
        voided=state.voided + is_smaller,
    )


def _learn_window(state: LimitState, slot: Slot, headers: RateLimitHeaders) -> LimitState:
    resets_in = headers.reset
    if state.refills or headers.remaining is None or resets_in is None or headers.limit is None:
        return state
    reset = headers.received_at + resets_in
    size = max(state.window_size, headers.limit, headers.remaining + 1)
    if not state.window_end or reset > state.window_end + MINUTE / 2:
        known = bool(state.window_end)
        used = max(0 if known else state.window_used, math.ceil(size - headers.remaining))
        return replace(state, window_end=reset, window_used=used, window_size=size, first_reset=reset)
    moved = _MOVED < reset - state.first_reset < MINUTE - _MOVED
    refilled = not headers.limited and size - headers.remaining < slot.used - max(_REORDERED, size * _REORDERED_SHARE)
    if moved or refilled:
        return replace(state, refills=True)
    if reset < state.window_end - MINUTE / 2:
        return state
    # ``Date`` counts whole seconds: each response puts the end up to a second late, so the earliest is nearest.
    end = min(state.window_end, reset)
    used = max(state.window_used, math.ceil(size - headers.remaining))
    return replace(state, window_end=end, window_used=used, window_size=size)


def _pause(state: LimitState, slot: Slot, headers: RateLimitHeaders) -> LimitState:
    consecutive_429s = state.consecutive_429s + 1
    until = headers.received_at + _pause_seconds(state, consecutive_429s, headers)
    # A pause that is over already is one that was learnt of late: others have gone on since.
    if slot.voided < state.voided or until < state.reserved_at:
        return state
    return replace(
        state,
        paused_until=until,
        full_at=until + (state.plan.spendable - 1) * state.plan.interval,
        consecutive_429s=consecutive_429s,
        voided=state.voided + 1,
        contention=min(MOST_CONTENTION, state.contention * _SLOWER),
        polls_at=until,
    )


def _pause_seconds(state: LimitState, consecutive_429s: int, headers: RateLimitHeaders) -> float:
    if headers.retry_after is not None:
        return min(LONGEST_PAUSE, max(headers.retry_after, state.plan.interval))
    resets_in = headers.reset
    if resets_in is not None and not (state.refills and consecutive_429s == 1):
        return max(min(resets_in, MINUTE), state.plan.interval)
    doubled = max(1.0, state.plan.interval) * 2.0 ** min(consecutive_429s - 1, _MOST_DOUBLINGS)
    return max(state.plan.interval, min(_LONGEST_BACKOFF, doubled) * headers.backoff)
