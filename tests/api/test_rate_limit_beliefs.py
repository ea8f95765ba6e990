"""No header, no clock and no stored state holds an account up longer than the documented minute."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate

import httpx
import pytest

from pihupulse_provider.api import MemoryRateLimit, Plan
from pihupulse_provider.api.rate_limit import LONGEST_PAUSE, LimitState, reserve
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders, observe
from tests.api import reference
from tests.api.drivers import Clock, Driver, Service

NOW = 1_700_000_000.0
HOUR = 3600.0
GOOD = httpx.Response(200, json=reference.LIST_TEMPLATES)


def _reply(status: int, *, reset: float, served_at: float = NOW) -> httpx.Response:
    headers = {
        "Date": formatdate(served_at, usegmt=True),
        "X-RateLimit-Limit": "100",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": f"{reset:.0f}",
    }
    return httpx.Response(status, headers=headers, json=reference.LIST_TEMPLATES)


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize(
    ("reset", "served_at"),
    [(9_999_999_999, NOW), (NOW + HOUR, NOW), (NOW + 30, NOW - HOUR), (NOW - HOUR, NOW), (30, NOW), (NOW * 1000, NOW)],
    ids=["the year 2286", "an hour ahead", "Date from a cache", "stale", "delta seconds", "milliseconds"],
)
def test_next_request_waits_a_minute_at_most(
    connect: Callable[..., Driver], status: int, reset: float, served_at: float
) -> None:
    """After any one such response; each could stop the account for up to 263 years."""
    clock = Clock(NOW)
    limit = MemoryRateLimit(clock=clock)
    driver = connect(Service(_reply(status, reset=reset, served_at=served_at), GOOD), clock=clock, limit=limit)

    for _ in range(130):  # more than the window that the headers seem to tell of
        before = clock.now
        driver.call("list_templates")
        assert clock.now - before <= 1.0  # the first pause after a 429 that says nothing, or else the plan's pace


@pytest.mark.parametrize("reset", [30, NOW * 1000, NOW - 1, 0], ids=["delta", "milliseconds", "stale", "zero"])
def test_reset_that_is_not_ahead_is_none(connect: Callable[..., Driver], reset: float) -> None:
    """The pauses double as they do without a header, instead of 95 refusals in a minute."""
    driver = connect(Service(*[_reply(429, reset=reset)] * 6, GOOD), clock=Clock(NOW))

    driver.call("list_templates")

    assert driver.clock.slept == pytest.approx([1, 2, 4, 8, 16, 32], abs=0.1)


def test_retry_after_on_a_429_pauses_for_five_minutes_at_most() -> None:
    state, slot = reserve(LimitState(), NOW)
    state = observe(state, slot, RateLimitHeaders(sent_at=NOW, received_at=NOW, limited=True, retry_after=1e9))

    assert state.paused_until == NOW + LONGEST_PAUSE == NOW + 300


@pytest.mark.parametrize("field", ["full_at", "paused_until", "window_end", "polls_at", "worked_at", "first_reset"])
@pytest.mark.parametrize("poll", [False, True])
def test_stored_state_of_a_far_future_is_not_believed(field: str, poll: bool) -> None:
    """Whoever wrote it: only a pause, which a Retry-After may ask for, is more than a minute."""
    state = LimitState(cap=Plan(100, 150), window_size=100, window_used=100, **{field: NOW + 1e9})  # type: ignore[arg-type]
    now, asked = NOW, 0
    while not (slot := reserve(state, now, poll=poll)[1]).taken:
        state = reserve(state, now, poll=poll)[0]
        assert now < slot.at <= now + 60
        now, asked = slot.at, asked + 1

    assert slot.at <= NOW + (LONGEST_PAUSE if field == "paused_until" else 60) + 1
    assert asked <= 10


def test_clock_that_goes_back_an_hour_makes_nobody_wait() -> None:
    """The next request waited for 3,516 seconds."""
    state = LimitState(cap=Plan(100, 150))
    for second in range(200):
        state, _ = reserve(state, NOW + second * 0.6)

    _, slot = reserve(state, NOW + 120 - HOUR)

    assert slot.taken
    assert slot.at <= NOW + 121 - HOUR


def test_clock_that_goes_forward_and_back_again_idles_nobody() -> None:
    """Ten minutes ahead idled an import for 620 seconds."""
    state = LimitState(cap=Plan(100, 150))
    for number in range(160):
        state, _ = reserve(state, NOW + number * 0.6 + (600 if 50 <= number < 100 else 0))

    _, slot = reserve(state, NOW + 160 * 0.6)

    assert slot.at <= NOW + 160 * 0.6 + 2


def test_slot_that_would_be_more_than_a_minute_away_is_not_handed_out_yet() -> None:
    """Those who stand in line ask again; a killed process has reserved a minute at most."""
    state = LimitState(cap=Plan(60, 4))
    slots = []
    for _ in range(100):
        state, slot = reserve(state, NOW)
        slots.append(slot)

    assert max(slot.at for slot in slots) == NOW + 60
    assert {slot.at for slot in slots if not slot.taken} == {NOW + 30}


def test_the_worked_example() -> None:
    """As the module's text has it, to follow with a pencil."""
    state, steps = LimitState(cap=Plan(60, 4)), []
    for at in (100.0, 100.0, 100.0, 100.0, 105.0):
        state, slot = reserve(state, at)
        steps.append((at, slot.at, state.full_at))
    assert steps == [
        (100.0, 100.0, 101.0),
        (100.0, 100.0, 102.0),
        (100.0, 100.0, 103.0),
        (100.0, 101.0, 104.0),
        (105.0, 105.0, 106.0),
    ]

    limited = RateLimitHeaders(sent_at=106.0, received_at=106.0, limited=True, retry_after=20.0)
    paused = observe(state, slot, limited)

    assert (paused.paused_until, paused.full_at, paused.voided, paused.contention) == (126.0, 128.0, 1, 1.2)
    eased = observe(paused, slot, RateLimitHeaders(sent_at=127.0, received_at=127.0))
    assert eased.contention == pytest.approx(1.198)
