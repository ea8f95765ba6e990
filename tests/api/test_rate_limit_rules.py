"""The rules of the rate limit one by one, where the simulations would not tell the difference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pihupulse_provider.api import PLANS, Plan
from pihupulse_provider.api.rate_limit import LimitState, reserve
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders, observe

NOW = 1_700_000_000.0
PROFESSIONAL = PLANS["professional"]
LIMITED = RateLimitHeaders(sent_at=NOW, received_at=NOW, limited=True)


def test_the_plans_of_the_reference() -> None:
    assert PLANS == {"starter": (100, 150), "professional": (300, 450), "enterprise": (1000, 1500)}


@pytest.mark.parametrize(
    ("plan", "spendable"), [(Plan(100, 150), 149), (Plan(1000, 1500), 1498), (Plan(6000, 6000), 5990), (Plan(60, 1), 1)]
)
def test_what_bunches_up_in_a_tenth_of_a_second_is_never_spent(plan: Plan, spendable: float) -> None:
    assert plan.spendable == spendable


def test_two_at_once_are_a_burst() -> None:
    assert Plan(600, 1).paces_singly
    assert not Plan(600, 2).paces_singly


@pytest.mark.parametrize(("after", "end"), [(0.0, 60.0), (59.0, 60.0), (130.0, 180.0)])
def test_a_window_that_is_over_is_followed_by_the_next(after: float, end: float) -> None:
    state = LimitState(cap=PROFESSIONAL, window_end=NOW, window_used=300, window_size=300)

    state, slot = reserve(state, NOW + after)

    assert (slot.at, slot.used, state.window_end) == (NOW + after, 1, NOW + end)


def test_polls_stand_in_a_line_of_a_second_and_a_half_at_most() -> None:
    """Each of them in the place of two: then work that comes waits no longer either."""
    state, _ = reserve(LimitState(cap=PLANS["enterprise"]), NOW)
    taken = 0
    while (polled := reserve(state, NOW, poll=True))[1].taken:
        state, taken = polled[0], taken + 1

    assert taken == 12


def test_polls_stand_in_no_line_where_there_is_no_burst() -> None:
    state, _ = reserve(LimitState(cap=Plan(600, 1)), NOW)

    assert not reserve(state, NOW, poll=True)[1].taken


def test_nobody_sends_while_a_long_retry_after_lasts() -> None:
    state, slot = reserve(LimitState(cap=PROFESSIONAL), NOW)
    state, now = observe(state, slot, replace(LIMITED, retry_after=200.0)), NOW
    while not (asked := reserve(state, now))[1].taken:
        state, now = asked[0], asked[1].at

    assert asked[1].at == NOW + 200


@pytest.mark.parametrize(
    ("refills", "pauses"), [(False, [40.0, 40.0]), (True, [0.75, 40.0])], ids=["may be a window", "a bucket"]
)
def test_a_429_is_believed_the_reset_that_it_names(refills: bool, pauses: list[float]) -> None:
    """A bucket's may be that of the full one, so it is waited for only once a second has not helped."""
    state, now, found = LimitState(cap=PROFESSIONAL, refills=refills), NOW, []
    for _ in range(2):
        state, slot = reserve(state, now)
        now = slot.at
        limited = RateLimitHeaders(sent_at=now, received_at=now, limited=True, resets_in=40.0, backoff=0.75)
        state = observe(state, slot, limited)
        found.append(state.paused_until - now)
        now = state.paused_until

    assert found == pytest.approx(pauses)


def test_a_success_makes_the_next_pause_a_short_one() -> None:
    state, slot = reserve(LimitState(cap=PROFESSIONAL), NOW)
    state = observe(state, slot, LIMITED)
    state, slot = reserve(state, NOW + 1)
    state = observe(state, slot, RateLimitHeaders(sent_at=NOW + 1, received_at=NOW + 1))

    state = observe(state, slot, RateLimitHeaders(sent_at=NOW + 1, received_at=NOW + 1, limited=True))

    assert state.paused_until == NOW + 2


def test_a_window_may_take_more_than_the_rate() -> None:
    """The limit header names the rate, what remains is of the burst."""
    state, slot = reserve(LimitState(cap=PROFESSIONAL), NOW)

    state = observe(state, slot, RateLimitHeaders(NOW, NOW, limit=300, remaining=449, resets_in=30.0))

    assert (state.window_size, state.window_used) == (450, 1)
