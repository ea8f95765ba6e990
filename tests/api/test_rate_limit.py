"""The rate limit in simulated time: as fast as the plan allows, and no answer of 429."""

from __future__ import annotations

import itertools

import pytest

from pihupulse_provider.api import PLANS, Plan
from pihupulse_provider.api.rate_limit import LimitState, reserve
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders, observe
from tests.api.simulation import MINUTE, Reading, Reset, Sender, Server, Simulation, run

CREATES = 600
NEAR = 1.02
PROFESSIONAL = PLANS["professional"]


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("skew", [0.0, -3600.0, 12.0])
@pytest.mark.parametrize(
    ("reading", "reset"), [("bucket", "next-slot"), ("bucket", "full-bucket"), ("window", "window-end")]
)
def test_600_creates_in_the_least_time_without_a_429(
    reading: Reading, reset: Reset, skew: float, processes: int
) -> None:
    """Nobody says which of the readings holds; the processes share one state."""
    server = Server(*PROFESSIONAL, reading=reading, reset=reset, skew=skew)

    seconds = run(server, CREATES, processes=processes)

    assert server.refused == 0
    assert seconds <= NEAR * server.least_seconds(CREATES)


@pytest.mark.parametrize("phase", [0.4, 17.3, 44.9])
def test_first_window_may_be_under_way(phase: float) -> None:
    """It is as fast as both readings allow: a bucket would be empty after the first 300."""
    server = Server(*PROFESSIONAL, reading="window", phase=phase)

    seconds = run(server, CREATES)

    assert server.refused == 0
    assert seconds <= MINUTE + 2, "headers count whole seconds: that puts the end of a window up to two late"


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_every_plan_is_learnt_from_the_first_answer(plan: Plan) -> None:
    server = Server(*plan)
    requests = int(2 * plan.burst)

    seconds = run(server, requests)

    assert server.refused == 0
    assert seconds <= NEAR * server.least_seconds(requests)


@pytest.mark.parametrize("rate", [30, 300])
def test_burst_of_one_keeps_its_distance(rate: float) -> None:
    """Answers that vary by a millisecond cost nothing."""
    server = Server(rate, 1)

    seconds = run(server, 100, state=LimitState(cap=Plan(rate, 1)), jitter=0.001)

    assert server.refused == 0
    assert seconds <= NEAR * server.least_seconds(100)


def test_burst_of_one_learns_how_much_requests_bunch_up() -> None:
    """Here each way varies by ten milliseconds, a twentieth of the distance."""
    server = Server(300, 1)

    seconds = run(server, CREATES, state=LimitState(cap=Plan(300, 1)), jitter=0.01)

    assert server.refused <= CREATES * 0.01
    assert seconds <= 1.2 * server.least_seconds(CREATES)


def test_window_that_ends_during_the_first_requests_may_refuse_one() -> None:
    server = Server(*PROFESSIONAL, reading="window", phase=59.9)

    seconds = run(server, CREATES)

    assert server.refused <= 1
    assert seconds <= 2 * MINUTE


def test_unknown_plan_gets_no_burst_beyond_its_rate() -> None:
    server = Server(50, 50)

    seconds = run(server, 200)

    assert server.refused == 0
    assert seconds <= 1.03 * server.least_seconds(200)


def test_reset_at_the_end_of_the_minute_costs_time_but_no_429() -> None:
    """A bucket that tells such a reset can't be told from a window."""
    server = Server(*PROFESSIONAL, reset="window-end")

    run(server, CREATES)

    assert server.refused == 0


def test_without_headers_it_keeps_to_the_smallest_plan() -> None:
    server = Server(*PROFESSIONAL, headers=False)

    seconds = run(server, 300)

    assert server.refused == 0
    assert seconds == pytest.approx(Server(*PLANS["starter"]).least_seconds(300), rel=0.02)


def test_plan_of_the_user_holds_against_a_larger_one_told() -> None:
    server = Server(*PLANS["enterprise"])

    seconds = run(server, 200, state=LimitState(cap=Plan(60, 10)))

    assert seconds >= 0.99 * (200 - 10)


def test_smaller_plan_told_holds_against_the_users_and_a_later_larger_one_is_taken_up() -> None:
    state, slot = reserve(LimitState(cap=PLANS["enterprise"]), 0.0)
    for limit, plan in ((100, "starter"), (300, "professional"), (6_000_000, "enterprise")):
        state = observe(state, slot, RateLimitHeaders(sent_at=0.0, received_at=0.1, limit=limit))
        assert state.plan == PLANS[plan]


def test_processes_without_a_shared_state_are_held_back_by_the_headers() -> None:
    server = Server(*PROFESSIONAL)

    seconds = run(server, 3000, processes=3, shared=False)

    assert server.refused <= 0.05 * 3000
    assert seconds <= 1.05 * server.least_seconds(3000)


@pytest.mark.parametrize("polls", [16, 100])
def test_polls_take_at_most_half_of_the_rate_while_work_wants_it(polls: int) -> None:
    server = Server(*PLANS["starter"])
    everybody = [Sender(0, poll=True) for _ in range(polls)] + [Sender(0) for _ in range(16)]

    Simulation(server, [LimitState()], everybody, until=600).run()

    steady = _sent(everybody, server, poll=False), _sent(everybody, server, poll=True)
    assert server.refused == 0
    assert 0.49 * sum(steady) <= steady[0] <= 0.55 * sum(steady)
    assert sum(steady) >= 0.97 * 100 * 8


def test_polls_take_all_of_the_rate_when_nothing_else_wants_it() -> None:
    server = Server(*PLANS["starter"])

    seconds = Simulation(server, [LimitState()], [Sender(0, poll=True) for _ in range(16)], 400).run()

    assert server.refused == 0
    assert seconds <= NEAR * server.least_seconds(400)


def test_polls_that_wait_do_not_hold_up_work() -> None:
    """Hundreds of sensors wait for the next slot, and an import begins."""
    state = LimitState(cap=Plan(60, 10))
    for _ in range(10):
        state, _ = reserve(state, 100.0)
    for _ in range(300):
        state, slot = reserve(state, 110.0, poll=True)
    assert not slot.taken

    _, slot = reserve(state, 110.0)

    assert slot.at <= 111.0


def test_429_makes_every_slot_void_that_was_taken_before() -> None:
    state = LimitState(cap=PROFESSIONAL)
    slots = []
    for _ in range(10):
        state, slot = reserve(state, 1000.0)
        slots.append(slot)
    limited = RateLimitHeaders(sent_at=1000.0, received_at=1000.1, limited=True, retry_after=20.0)

    state = observe(state, slots[0], limited)
    assert all(slot.voided < state.voided for slot in slots)

    late = observe(
        state, slots[1], RateLimitHeaders(sent_at=1000.0, received_at=1000.2, limited=True, retry_after=20.0)
    )
    assert late == state, "a request that was under way is no reason to wait longer"

    state, slot = reserve(state, 1000.3)
    assert slot.at == pytest.approx(1020.1)


def test_backoff_of_a_429_without_headers_doubles_up_to_a_minute() -> None:
    state, waits, now = LimitState(cap=PROFESSIONAL), [], 0.0
    for _ in range(2000):
        state, slot = reserve(state, now)
        now = max(now, slot.at)
        state = observe(state, slot, RateLimitHeaders(sent_at=now, received_at=now, limited=True))
        waits.append(state.paused_until - now)

    assert waits[:8] == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])
    assert waits[-1] == pytest.approx(60)


def test_pace_recovers_after_a_429() -> None:
    state, slot = reserve(LimitState(cap=PROFESSIONAL), 0.0)
    state = observe(state, slot, RateLimitHeaders(sent_at=0.0, received_at=0.0, limited=True))
    assert state.contention > 1.1

    for _ in range(1000):
        state = observe(state, slot, RateLimitHeaders(sent_at=1.0, received_at=1.0))

    assert state.contention == 1.0


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_pace_recovers_at_once_when_the_service_says_that_nobody_else_uses_the_account(plan: Plan) -> None:
    """Eight faults that looked like 429s kept an account at a fraction of its plan for five minutes."""
    server = Server(*plan)
    spent = server.starts_at + (plan.spendable - 1) * plan.interval
    state = LimitState(advertised=plan, contention=1.2**8, full_at=spent)
    requests = int(3 * plan.requests_per_minute)

    seconds = run(server, requests, senders=4, state=state)

    assert server.refused == 0
    assert seconds <= 1.1 * 180


def test_429_that_is_learnt_of_late_is_no_reason_to_wait_or_to_slow_down() -> None:
    """A process that was without the store brings along what it was told half a minute ago."""
    state, slot = reserve(LimitState(cap=PROFESSIONAL), 1000.0)
    state, _ = reserve(state, 1030.0)

    assert observe(state, slot, RateLimitHeaders(sent_at=1000.0, received_at=1000.1, limited=True)) == state


def test_smaller_plan_makes_nobody_wait_for_more_than_it_can_hold() -> None:
    """All that was spent of the larger one, counted at the smaller one's pace, stopped everybody for a minute."""
    state, now = LimitState(advertised=PLANS["enterprise"]), 1000.0
    for _ in range(1500):
        state, taken = reserve(state, now)

    state = observe(state, taken, RateLimitHeaders(sent_at=now, received_at=now, limit=100.0))

    assert taken.voided < state.voided
    _, slot = reserve(state, now)
    assert slot.taken
    assert slot.at <= now + PLANS["starter"].interval + 0.001


def _sent(senders: list[Sender], server: Server, *, poll: bool) -> int:
    times = itertools.chain.from_iterable(sender.done for sender in senders if sender.poll is poll)
    return len([time for time in times if 120 <= time - server.starts_at < 600])
