"""What a wait is for, and its way through Airflow's database."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.waiting.wait_spec import WaitSpec
from pihupulse_provider.waiting.wait_state import ScreeningSnapshot, WaitState, pack, unpack

IDS = st.text(min_size=1, max_size=8)
UNUSUAL = WaitSpec(
    screenings={"s1": "c1", "s2": None},
    started_at=1.5,
    wait_for=0.5,
    succeeded_statuses=("reviewed",),
    failed_statuses=("no_show",),
    interval=7.0,
    exponential_backoff=True,
    max_wait=70.0,
    timeout=900.0,
    deadline=800.0,
)


def test_every_term_survives_the_way_to_another_clock():
    plain = WaitSpec({}, 0.0)
    assert all(getattr(UNUSUAL, field.name) != getattr(plain, field.name) for field in fields(WaitSpec))
    dumped = json.loads(json.dumps(WaitState(UNUSUAL).dump(now=4.0)))
    loaded = WaitState.load(dumped, now=1002.5).spec
    assert loaded.started_at == 1000.0
    assert replace(loaded, started_at=1.5) == UNUSUAL


def test_a_clock_that_is_ten_minutes_off_neither_shortens_nor_lengthens_a_wait():
    dumped = WaitState(WaitSpec({"s1": None}, started_at=1000.0, timeout=240.0)).dump(now=1008.0)
    for theirs in (1008.0 - 600, 1008.0 + 600):
        assert WaitState.load(dumped, theirs).spec.seconds_left(theirs) == 232.0


@given(
    st.lists(
        st.builds(ScreeningSnapshot, IDS, st.none() | IDS, st.none() | IDS, st.none() | st.integers(), st.none() | IDS),
        unique_by=lambda one: one.screening_id,
    )
)
def test_what_was_seen_survives_too(snapshots):
    state = WaitState(WaitSpec({one.screening_id: None for one in snapshots}, 0.0))
    state.see(snapshots)
    loaded = WaitState.load(json.loads(json.dumps(state.dump(0.0))), 0.0)
    assert list(loaded) == list(state)
    assert loaded.judge() == state.judge()


@given(
    st.lists(st.builds(ScreeningSnapshot, IDS, st.none() | IDS, st.none() | IDS, st.none() | st.integers(), st.none()))
)
def test_any_snapshots_survive_packing(snapshots):
    assert unpack(pack(snapshots)) == snapshots


def test_ten_thousand_screenings_stay_small():
    """Airflow keeps a trigger's arguments in a column that some databases end at 64 kB."""
    screenings = {f"s{67890 + number}": f"c{12345 + number}" for number in range(10_000)}
    assert len(json.dumps(WaitState(WaitSpec(screenings, 0.0)).dump(0.0))) < 8_000


def test_a_deadline_has_to_come_before_the_timeout():
    with pytest.raises(ConfigurationError, match="deadline is 1 minute"):
        WaitSpec({}, 0.0, timeout=60, deadline=60)


@pytest.mark.parametrize(
    ("options", "left", "last_resort"),
    [
        ({}, None, "timeout"),
        ({"timeout": 60.0}, 50.0, "timeout"),
        ({"timeout": 60.0, "deadline": 30.0}, 20.0, "deadline"),
    ],
)
def test_the_deadline_ends_a_wait_or_else_the_timeout(options, left, last_resort):
    wait = WaitSpec({}, 100.0, **options)
    assert wait.seconds_left(110.0) == left
    assert wait.last_resort == last_resort


def test_pauses_are_as_long_as_the_wait_so_far_when_they_back_off():
    wait = WaitSpec({}, 0.0, interval=10.0, exponential_backoff=True, max_wait=60.0)
    assert [wait.pause(now) for now in (0.0, 10.0, 20.0, 40.0, 80.0)] == [10.0, 10.0, 20.0, 40.0, 60.0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 2_592_000.0}, "It times out at 1970-01-31 00:00:00 UTC, after 30 days."),
        ({"deadline": 3900.0, "timeout": 9e9}, "is at 1970-01-01 01:05:00 UTC, after 1 hour 5 minutes."),
        ({"interval": 1.0}, "Polled every 1 second."),
        ({"wait_for": 0.5}, "for 1 of 2 screenings to be completed."),
        ({}, "Waiting since 1970-01-01 00:00:00 UTC for 2 screenings to be completed. Polled every 1 minute. There is"),
        ({}, "Waited for: s1, s2."),
    ],
)
def test_a_person_learns_what_is_waited_for_since_when_and_what_ends_it(options, said):
    assert said in WaitSpec({"s1": None, "s2": None}, 0.0, **options).describe()


def test_of_many_screenings_the_first_twenty_are_named():
    assert "s19 and 9,980 more." in WaitSpec({f"s{n}": None for n in range(10_000)}, 0.0).describe()


def test_what_can_not_be_an_id_is_not_named():
    described = WaitSpec({"s1": None, "ana.costa@example.com": None}, 0.0).describe()

    assert "Waited for: s1, (a text of 21 characters)." in described


def test_a_timeout_that_reaches_past_what_a_date_can_be_is_described():
    assert "the end of the year 9999" in WaitSpec({"s1": None}, 0.0, timeout=1e12).describe()
