"""The account's rate limit as arithmetic: a state, and what a request or an answer makes of it.

A GCRA reservation: one timestamp says when the account's burst will be whole again, so that taking a slot is one
atomic step on one small state, in memory or in a row of a shared store. The reference names a rate and a burst but
not whether they are a token bucket or a fixed window (API reference, "Rate Limiting"), so both are held at once.
Nothing here reads a clock or sleeps: every function takes the time, in epoch seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pihupulse_provider.api.plans import MINUTE, PLANS, Plan, plan_for_limit

_SINGLE_PACE = 1.015
"""With no burst to spare, requests keep this much more than the even distance."""
_MOVED = 1.5
"""A reset that moves by more seconds than this (headers count whole ones) before it is reached is no window's end."""
_REORDERED = 100
"""Requests that may overtake each other on the way to the server."""
_CONTENTION = 5.0
"""Seconds after its last request during which other work still counts as wanting the rate."""
_LONGEST_BACKOFF = MINUTE
_MOST_DOUBLINGS = 16
_LONGEST_PAUSE = 60 * MINUTE
"""Seconds after which it is tried again, whatever ``Retry-After`` says."""
_CROWDED, _EASED, _ALONE, _MOST_CROWDED = 1.2, 0.99, 1.001, 32.0
"""How the pace slows down at a 429 and recovers with each success: others may be using the account unseen."""


@dataclass(frozen=True)
class LimitState:
    """All that is known of an account's limit; times are epoch seconds, 0.0 stands for never.

    :ivar told: the plan that the service's headers tell. ``cap``: what the user allows, whatever they tell.
    :ivar full_at: when the burst will be whole again (the GCRA's theoretical arrival time).
    :ivar paused_until: nobody sends before it. ``strikes``: answers of 429 since the last success.
    :ivar pauses: how often the account was paused; a slot taken before a pause is void.
    :ivar window_end: when the window ends, if there is one. ``window_used``: slots taken in it.
    :ivar window_size: how many requests a window takes, as far as seen.
    :ivar first_reset: the reset seen first; ``refills``: resets move, or tokens come back: a bucket, no window.
    :ivar crowding: by how much more than the plan's interval requests are spaced, 1.0 as long as we are alone.
    :ivar polls_at: when the next poll may go. ``worked_at``: the last slot taken by something else than a poll.
    """

    told: Plan | None = None
    cap: Plan | None = None
    full_at: float = 0.0
    paused_until: float = 0.0
    strikes: int = 0
    pauses: int = 0
    window_end: float = 0.0
    window_used: int = 0
    window_size: float = 0.0
    first_reset: float = 0.0
    refills: bool = False
    crowding: float = 1.0
    polls_at: float = 0.0
    worked_at: float = 0.0

    @property
    def plan(self) -> Plan:
        """Return the plan in force: the smaller of what is told and what the user allows, Starter without both."""
        if self.told is None:
            return self.cap or PLANS["starter"]
        return self.told.within(self.cap) if self.cap else self.told


@dataclass(frozen=True)
class Slot:
    """A place in the line.

    :ivar at: when the request may go, in epoch seconds.
    :ivar taken: whether it is reserved; if not, ask again at that time.
    :ivar pauses: the state's count of pauses when it was taken.
    :ivar used: its number within the window.
    """

    at: float
    taken: bool
    pauses: int = 0
    used: int = 0


@dataclass(frozen=True)
class Seen:
    """What an answer says about the limit; every number may be missing.

    :ivar sent_at: when the request went out. ``received_at``: when the answer was in.
    :ivar limited: whether it was a 429. ``retry_after``: seconds, from the header of that name.
    :ivar limit: ``X-RateLimit-Limit``. ``remaining``: ``X-RateLimit-Remaining``.
    :ivar resets_in: seconds from the server's own ``Date`` to ``X-RateLimit-Reset``, so that clock skew cancels out.
    :ivar backoff: the share (0.5 to 1) of the exponential pause to take when a 429 says nothing else.
    """

    sent_at: float
    received_at: float
    limited: bool = False
    retry_after: float | None = None
    limit: float | None = None
    remaining: int | None = None
    resets_in: float | None = None
    backoff: float = 1.0


def reserve(state: LimitState, now: float, *, poll: bool = False) -> tuple[LimitState, Slot]:
    """Take the next free slot; a poll waits without one until its time has come, and leaves half to other work."""
    plan = state.plan
    at = max(now, state.paused_until, state.full_at - (plan.spendable - 1) * plan.interval)
    at = _within_window(state, at)
    due = _due(state, at, now, poll=poll)
    if due > now:
        return state, Slot(due, taken=False)
    state = _enter_window(state, at)
    interval = plan.interval * max(_SINGLE_PACE if plan.paces_singly else 1.0, state.crowding)
    state = replace(
        state,
        full_at=max(state.full_at, at) + interval,
        window_used=state.window_used + 1,
        polls_at=now + 2 * interval if poll else state.polls_at,
        worked_at=state.worked_at if poll else at,
    )
    return state, Slot(at, taken=True, pauses=state.pauses, used=state.window_used)


def observe(state: LimitState, slot: Slot, seen: Seen) -> LimitState:
    """Correct the state by an answer's headers; they never loosen it past the plan."""
    state = _learn_plan(state, seen)
    state = _learn_window(state, slot, seen)
    if seen.limited:
        return _pause(state, slot, seen)
    if state.strikes or state.crowding > 1:
        state = replace(state, strikes=0, crowding=_ease(state.crowding))
    if seen.remaining is None or (seen.limit is not None and seen.remaining >= seen.limit):
        return state
    # The header counts whole tokens, so up to one more may be left than it says.
    spent = max(0.0, state.plan.burst - seen.remaining - 1)
    full_at = seen.sent_at + spent * state.plan.interval
    return replace(state, full_at=full_at) if full_at > state.full_at else state


def _due(state: LimitState, at: float, now: float, *, poll: bool) -> float:
    """Return from when on the slot at that time may be taken; only work in a burst stands in line for it."""
    line = at if state.plan.paces_singly else now
    if not poll:
        return line
    is_contended = now - state.worked_at < _CONTENTION
    return max(state.polls_at, line) if is_contended else at


def _ease(crowding: float) -> float:
    eased = 1 + (crowding - 1) * _EASED
    return eased if eased > _ALONE else 1.0


def _within_window(state: LimitState, at: float) -> float:
    if state.refills or not state.window_end or state.plan.paces_singly:
        return at
    # A slot may have been given out in the window to come: nobody goes back from there.
    at = max(at, state.window_end - MINUTE)
    is_full = at < state.window_end and state.window_used >= state.window_size
    return state.window_end if is_full else at


def _enter_window(state: LimitState, at: float) -> LimitState:
    if not state.window_end or at < state.window_end:
        return state
    passed = math.floor((at - state.window_end) / MINUTE) + 1
    return replace(state, window_end=state.window_end + passed * MINUTE, window_used=0)


def _learn_plan(state: LimitState, seen: Seen) -> LimitState:
    if not seen.limit:
        return state
    told = plan_for_limit(seen.limit)
    if told == state.told:
        return state
    owed = max(0.0, state.full_at - seen.received_at) / state.plan.interval
    state = replace(state, told=told)
    return replace(state, full_at=seen.received_at + owed * state.plan.interval)


def _learn_window(state: LimitState, slot: Slot, seen: Seen) -> LimitState:
    if state.refills or seen.remaining is None or seen.resets_in is None or seen.limit is None:
        return state
    reset = seen.received_at + seen.resets_in
    size = max(state.window_size, seen.limit, seen.remaining + 1)
    if not state.window_end or reset > state.window_end + MINUTE / 2:
        known = bool(state.window_end)
        used = max(0 if known else state.window_used, math.ceil(size - seen.remaining))
        return replace(state, window_end=reset, window_used=used, window_size=size, first_reset=reset)
    moved = _MOVED < reset - state.first_reset < MINUTE - _MOVED
    refilled = not seen.limited and size - seen.remaining < slot.used - _REORDERED
    if moved or refilled:
        return replace(state, refills=True)
    if reset < state.window_end - MINUTE / 2:
        return state
    # ``Date`` counts whole seconds: each answer puts the end up to a second late, so the earliest is nearest.
    end = min(state.window_end, reset)
    used = max(state.window_used, math.ceil(size - seen.remaining))
    return replace(state, window_end=end, window_used=used, window_size=size)


def _pause(state: LimitState, slot: Slot, seen: Seen) -> LimitState:
    if slot.pauses < state.pauses:
        return state
    strikes = state.strikes + 1
    until = seen.received_at + _pause_seconds(state, strikes, seen)
    return replace(
        state,
        paused_until=until,
        full_at=until + (state.plan.spendable - 1) * state.plan.interval,
        strikes=strikes,
        pauses=state.pauses + 1,
        crowding=min(_MOST_CROWDED, state.crowding * _CROWDED),
        polls_at=until,
    )


def _pause_seconds(state: LimitState, strikes: int, seen: Seen) -> float:
    if seen.retry_after is not None:
        return min(_LONGEST_PAUSE, max(seen.retry_after, state.plan.interval))
    if seen.resets_in is not None and 0 <= seen.resets_in <= MINUTE and not (state.refills and strikes == 1):
        return max(seen.resets_in, state.plan.interval)
    doubled = max(1.0, state.plan.interval) * 2.0 ** min(strikes - 1, _MOST_DOUBLINGS)
    return max(state.plan.interval, min(_LONGEST_BACKOFF, doubled) * seen.backoff)
