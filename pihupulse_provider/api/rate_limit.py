"""The account's rate limit as arithmetic: a state, and what a request makes of it.

A GCRA reservation: one timestamp, ``full_at``, says when the account's burst will be whole again, so that taking a
slot is one atomic step on one small state, in memory or in a row of a shared store. To follow with a pencil: 60
requests a minute and a burst of 4 are an interval of 1 second, of which 3 requests at once are used (``spendable``,
slightly below the server's burst). Each slot adds one interval to ``full_at``, and a slot's time is two intervals, all
of the spendable burst but the slot itself, before it:

    ======== ============ ============================ ===================
    at       full_at was  the slot's time              full_at becomes
    ======== ============ ============================ ===================
    100.0    0            now: 100.0                   101.0
    100.0    101.0        now, as 101 - 2 is past      102.0
    100.0    102.0        now, as 102 - 2 is 100.0     103.0
    100.0    103.0        103 - 2 = 101.0              104.0
    105.0    104.0        now: 105.0, whole again      106.0
    ======== ============ ============================ ===================

The reference names a rate and a burst but not whether they are a token bucket or a fixed window (API reference, "Rate
Limiting"), so both are held at once. No header and no stored state is believed beyond reason: a reset counts if it is
ahead by at most the documented minute, a slot is never more than a minute away (``taken`` is then False: ask again),
and only a ``Retry-After`` on a 429 pauses for longer, five minutes at most. Nothing here reads a clock or sleeps:
every function takes the time, in epoch seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

__all__ = ["PLANS", "Plan"]

MINUTE = 60.0
_JITTER = 0.1
"""Seconds by which requests may bunch up on their way; that many seconds' worth of tokens is never spent."""


class Plan(NamedTuple):
    """What an account may do: requests a minute, and requests at once."""

    requests_per_minute: float
    burst: float

    @property
    def interval(self) -> float:
        """Return the seconds between two requests at the sustained rate."""
        return MINUTE / self.requests_per_minute

    @property
    def spendable(self) -> float:
        """Return the burst that is used: slightly below the server's."""
        return max(1.0, self.burst - max(1.0, math.ceil(_JITTER / self.interval)))

    def within(self, cap: Plan) -> Plan:
        """Return the smaller of both."""
        return Plan(min(self.requests_per_minute, cap.requests_per_minute), min(self.burst, cap.burst))

    @property
    def paces_singly(self) -> bool:
        """Return whether there is no burst, so that the distance to the last request sent is what counts."""
        return self.burst <= 1


PLANS = {"starter": Plan(100, 150), "professional": Plan(300, 450), "enterprise": Plan(1000, 1500)}
"""The plans of the API reference, "Rate Limiting"."""


def plan_for_limit(limit: float) -> Plan:
    """Return the plan that an ``X-RateLimit-Limit`` header means; an unknown one gets no burst beyond its rate."""
    for plan in PLANS.values():
        if limit in (plan.requests_per_minute, plan.burst):
            return plan
    return Plan(limit, limit)


_SINGLE_PACE = 1.015
"""With no burst to spare, requests keep this much more than the even distance."""
_CONTENTION = 5.0
"""Seconds after its last request during which other work still counts as wanting the rate."""
AHEAD_SECONDS = 1.5
"""Seconds of the account's rate that are reserved, beside what may go at once: a killed process wastes as much."""
_LONG_LINE = 2.0
"""Seconds of reserved slots, of all processes together, from which on each reserves less at once."""
_IN_A_LONG_LINE = 0.36
"""Seconds of the account's rate that are reserved then: a newcomer waits behind all reserved slots."""
LONGEST_PAUSE = 5 * MINUTE
"""Seconds after which it is tried again, whatever ``Retry-After`` says."""
ROUNDING = 2.0
"""Seconds by which a reset within the minute may seem further ahead: both headers count whole seconds."""
_BACKWARDS = 1.0
"""Seconds; a clock that goes back by more has been set."""
MOST_CONTENTION = 128.0
"""The most by which the contention factor spaces requests wider."""


@dataclass(frozen=True)
class LimitState:
    """All that is known of an account's limit; times are epoch seconds, 0.0 stands for never.

    :ivar advertised: the plan that the service's headers say. ``cap``: what the user allows, whatever they say.
    :ivar full_at: when the burst will be whole again (the GCRA's theoretical arrival time).
    :ivar reserved_at: when a slot was last taken: a time before it means that the clock was set back.
    :ivar paused_until: nobody sends before it. ``consecutive_429s``: how many came since the last success.
    :ivar voided: how often all slots became void, by a pause or a smaller plan: those taken before are not used.
    :ivar window_end: when the window ends, if there is one. ``window_used``: slots taken in it.
    :ivar window_size: how many requests a window takes, as far as seen.
    :ivar first_reset: the reset seen first; ``refills``: resets move, or tokens come back: a bucket, no window.
    :ivar contention: by how much more than the plan's interval requests are spaced, 1.0 as long as we are alone.
    :ivar polls_at: when the next poll may go. ``worked_at``: the last slot taken by something else than a poll.
    """

    advertised: Plan | None = None
    cap: Plan | None = None
    full_at: float = 0.0
    reserved_at: float = 0.0
    paused_until: float = 0.0
    consecutive_429s: int = 0
    voided: int = 0
    window_end: float = 0.0
    window_used: int = 0
    window_size: float = 0.0
    first_reset: float = 0.0
    refills: bool = False
    contention: float = 1.0
    polls_at: float = 0.0
    worked_at: float = 0.0

    @property
    def plan(self) -> Plan:
        """Return the plan in force: the smaller of the advertised one and what the user allows; else Starter."""
        if self.advertised is None:
            return self.cap or PLANS["starter"]
        return self.advertised.within(self.cap) if self.cap else self.advertised


@dataclass(frozen=True)
class Slot:
    """A place in the line.

    :ivar at: when the request may go, in epoch seconds.
    :ivar taken: whether it is reserved; if not, ask again at that time.
    :ivar voided: the state's count of that name when it was taken.
    :ivar used: its number within the window.
    """

    at: float
    taken: bool
    voided: int = 0
    used: int = 0


_TIMES = tuple(field.name for field in fields(LimitState) if field.name.endswith(("_at", "_until", "_end", "_reset")))


def reserve(state: LimitState, now: float, *, poll: bool = False, not_before: float = 0.0) -> tuple[LimitState, Slot]:
    """Take the next free slot; a poll waits without one until its time has come, and leaves half to other work.

    :param not_before: when it will be wanted, if that is later than now.
    """
    state = _within_reason(state, now)
    plan = state.plan
    at = max(now, not_before, state.paused_until, state.full_at - (plan.spendable - 1) * plan.interval)
    at = _within_window(state, at)
    due = _due(state, at, now, poll=poll)
    if due > now + (_line(plan) if poll else 0.0):
        return state, Slot(min(due, now + MINUTE), taken=False)
    if at > now + MINUTE:
        return state, Slot(now + MINUTE / 2, taken=False)
    state = _enter_window(state, at)
    interval = plan.interval * max(_SINGLE_PACE if plan.paces_singly else 1.0, state.contention)
    state = replace(
        state,
        full_at=max(state.full_at, at) + interval,
        reserved_at=now,
        window_used=state.window_used + 1,
        polls_at=max(state.polls_at, now) + 2 * interval if poll else state.polls_at,
        worked_at=state.worked_at if poll else at,
    )
    return state, Slot(at, taken=True, voided=state.voided, used=state.window_used)


def most_ahead(plan: Plan, seconds: float = AHEAD_SECONDS) -> int:
    """Return how many slots are reserved ahead at once, at least one."""
    return max(1, math.floor(seconds / plan.interval))


class Wanted(NamedTuple):
    """How many slots a process reserves: at once, and further ones spread over the seconds in which they are used."""

    at_once: int
    later: int = 0
    seconds: float = 0.0


def reserve_several(
    state: LimitState, now: float, wanted: Wanted, *, poll: bool = False
) -> tuple[LimitState, list[Slot]]:
    """Take up to so many slots, at least one: all that may go at once, and further ones for a second or so.

    The last is not taken if there is none to be had yet, and says when to ask again.
    """
    spread = [now + wanted.seconds * number / wanted.later for number in range(1, wanted.later + 1)]
    times = [now] * wanted.at_once + spread
    ahead, most, fewer = 0, most_ahead(state.plan), most_ahead(state.plan, _IN_A_LONG_LINE)
    slots: list[Slot] = []
    while len(slots) < len(times) and ahead < most and (not slots or slots[-1].taken):
        state, slot = reserve(state, now, poll=poll, not_before=times[len(slots)])
        slots.append(slot)
        ahead += slot.at > now
        if slot.at > now + _LONG_LINE:
            most = fewer
    return state, slots


def give_back(state: LimitState, slots: Iterable[Slot]) -> LimitState:
    """Return the state without slots that were taken and never used; with no burst, a place in the line is gone."""
    kept = [slot for slot in slots if slot.voided == state.voided]
    if not kept or state.plan.paces_singly:
        return state
    in_window = sum(slot.at >= state.window_end - MINUTE for slot in kept)
    return replace(
        state,
        full_at=state.full_at - len(kept) * state.plan.interval,
        window_used=max(0, state.window_used - in_window),
    )


def spend_burst(state: LimitState, at: float) -> LimitState:
    """Return the state with nothing of the burst left at a time: what others used until then is not known."""
    return replace(state, full_at=max(state.full_at, at + (state.plan.spendable - 1) * state.plan.interval))


def stand_alone(state: LimitState, now: float, share: float, last_at: float = 0.0) -> LimitState:
    """Return the state for a process that can't reach the shared one.

    It has nothing of the burst, and its share of the rate (0 to 1) as contention factor. A share of 0.1 spaces requests
    ten times wider, from its last slot on; each success narrows that, as after a 429.
    """
    contention = min(MOST_CONTENTION, max(state.contention, 1 / share))
    state = spend_burst(state, max(now, last_at + contention * state.plan.interval))
    return replace(state, contention=contention)


def _within_reason(state: LimitState, now: float) -> LimitState:
    """Return the state with impossible values cut to their bounds, whoever wrote them or set the clock."""
    if now < state.reserved_at - _BACKWARDS:
        shift = now - state.reserved_at
        moved = {name: time + shift for name in _TIMES if (time := getattr(state, name))}
        state = replace(state, **moved)
    paused_until = min(state.paused_until, now + LONGEST_PAUSE)
    latest = max(paused_until, now + MINUTE)
    spent = state.plan.spendable - 1 + max(state.contention, _SINGLE_PACE)
    full_at = min(state.full_at, latest + spent * state.plan.interval)
    bounds = {
        "paused_until": paused_until,
        "full_at": full_at,
        "window_end": state.window_end if state.window_end <= max(now, full_at) + MINUTE + ROUNDING else 0.0,
        "polls_at": min(state.polls_at, latest),
        "worked_at": min(state.worked_at, latest),
    }
    changed: dict[str, Any] = {name: time for name, time in bounds.items() if time != getattr(state, name)}
    return replace(state, **changed) if changed else state


def _due(state: LimitState, at: float, now: float, *, poll: bool) -> float:
    """Return from when on the slot at that time may be taken; only work in a burst stands in line for it."""
    line = at if state.plan.paces_singly else now
    if not poll:
        return line
    is_contended = now - state.worked_at < _CONTENTION
    return max(state.polls_at, line) if is_contended else at


def _line(plan: Plan) -> float:
    """Return how many seconds long a line polls may stand in: work that comes then waits behind them."""
    return 0.0 if plan.paces_singly else max(0.0, AHEAD_SECONDS - 2 * plan.interval)


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
