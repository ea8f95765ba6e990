"""What holds of the rate limit for any plan, any arrivals and any shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pihupulse_provider.api import Plan
from pihupulse_provider.api.rate_limit import LimitState, Slot, reserve
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders, observe

plans = st.builds(Plan, st.floats(1, 2000), st.floats(1, 40))
gaps = st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.3, 1.0, 7.0, 61.0])
moments = st.lists(gaps, min_size=1, max_size=80)
shown = st.fixed_dictionaries(
    {
        "limited": st.booleans(),
        "retry_after": st.none() | st.floats(0, 100),
        "limit": st.none() | st.sampled_from([1.0, 10.0, 100.0, 150.0, 300.0, 6e6]),
        "remaining": st.none() | st.integers(0, 500),
        "resets_in": st.none() | st.floats(0, 120),
        "backoff": st.floats(0.5, 1),
    }
)
answers = st.lists(st.tuples(gaps, st.booleans(), st.none() | shown), min_size=1, max_size=60)


def _holds(sent: list[float], plan: Plan) -> bool:
    """Return whether no stretch of time has more requests than the burst and what came back meanwhile."""
    sent = sorted(sent)
    return all(
        last - first + 1 <= plan.burst + (sent[last] - sent[first]) * plan.requests_per_minute / 60 + 1e-3
        for first in range(len(sent))
        for last in range(first, len(sent))
    )


@given(plans, moments)
def test_no_stretch_of_time_gets_more_than_burst_and_rate(plan: Plan, arrivals: list[float]) -> None:
    state, now, sent = LimitState(cap=plan), 1_000_000.0, []
    for gap in arrivals:
        now += gap
        state, slot = reserve(state, now)
        assert slot.at >= now
        if slot.taken:
            sent.append(slot.at)

    assert _holds(sent, plan)


@given(plans, answers)
def test_no_header_loosens_it_past_the_users_plan(
    plan: Plan, steps: list[tuple[float, bool, dict[str, object] | None]]
) -> None:
    """Slots that a 429 made void are not used."""
    state, now, taken = LimitState(cap=plan), 1_000_000.0, []
    for gap, poll, shown in steps:
        now += gap
        state, slot = reserve(state, now, poll=poll)
        assert slot.at >= now
        if slot.taken:
            taken.append(slot)
        if shown is not None and slot.taken:
            pauses = state.voided
            state = observe(state, slot, RateLimitHeaders(sent_at=now, received_at=now, **shown))  # type: ignore[arg-type]
            if state.voided > pauses:
                taken = [one for one in taken if one.at <= now]

    assert state.plan.requests_per_minute <= plan.requests_per_minute
    assert state.plan.burst <= plan.burst
    assert _holds([slot.at for slot in taken], plan)


@given(plans, st.integers(0, 50), st.floats(0, 5))
def test_no_more_goes_at_once_than_the_answer_says_remains(plan: Plan, remaining: int, latency: float) -> None:
    """The header counts whole tokens: there may be almost one more."""
    state, slot = reserve(LimitState(cap=plan), 1000.0)
    shown = RateLimitHeaders(sent_at=1000.0, received_at=1000.0 + latency, limit=6e6, remaining=remaining)
    state = observe(state, slot, shown)

    at_once = 0
    for _ in range(60):
        state, slot = reserve(state, 1000.0)
        at_once += slot.taken and slot.at <= 1000.0

    assert at_once <= remaining + 1


@given(plans, st.none() | st.floats(0, 1e9), st.none() | st.floats(0, 1e9))
def test_nothing_is_sent_while_paused_and_every_pause_ends(
    plan: Plan, retry_after: float | None, resets_in: float | None
) -> None:
    state, slot = reserve(LimitState(cap=plan), 1000.0)
    shown = RateLimitHeaders(
        sent_at=1000.0, received_at=1001.0, limited=True, retry_after=retry_after, resets_in=resets_in
    )
    state = observe(state, slot, shown)

    assert 1001.0 < state.paused_until <= 1001.0 + 300
    for poll in (False, True):
        _, slot = reserve(state, 1001.0, poll=poll)
        assert slot.at >= state.paused_until or not slot.taken


@given(plans, st.lists(st.sampled_from([0.0, 0.2, 3.0]), min_size=1, max_size=50))
def test_polls_alone_wait_for_nothing_but_the_rate(plan: Plan, arrivals: list[float]) -> None:
    state, now = LimitState(cap=plan), 1000.0
    for gap in arrivals:
        now += gap
        _, as_work = reserve(state, now)
        state, as_poll = reserve(state, now, poll=True)
        assert as_poll.at == as_work.at


def test_answer_that_says_nothing_new_changes_nothing() -> None:
    """So that it need not be written to a shared store."""
    state, slot = reserve(LimitState(), 1000.0)
    shown = RateLimitHeaders(sent_at=1000.0, received_at=1000.1, limit=100.0, remaining=149, resets_in=1.0)
    state = observe(state, slot, shown)

    assert observe(state, Slot(1000.0, taken=True, used=1), shown) == state


def test_asking_in_vain_changes_nothing() -> None:
    """So that a thousand polls that wait write nothing to a shared store."""
    state = LimitState(cap=Plan(60, 4))
    for _ in range(10):
        state, _ = reserve(state, 1000.0)
    state, _ = reserve(state, 1001.0, poll=True)

    after, slot = reserve(state, 1001.5, poll=True)

    assert not slot.taken
    assert after == state
