"""The terms of a wait, and their way through Airflow's database."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.waiting.packing import pack_snapshots, unpack_snapshots
from pihupulse_provider.waiting.screening_snapshot import NOT_FOUND, ScreeningSnapshot
from pihupulse_provider.waiting.wait_spec import GRACE, WaitSpec

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


def test_every_term_survives_the_way_into_a_trigger():
    plain = WaitSpec({}, 0.0)
    assert all(getattr(UNUSUAL, field.name) != getattr(plain, field.name) for field in fields(WaitSpec))
    assert WaitSpec.load(json.loads(json.dumps(UNUSUAL.dump()))) == UNUSUAL


@given(st.dictionaries(IDS, st.none() | IDS))
def test_any_screenings_survive_packing(screenings):
    loaded = WaitSpec.load(WaitSpec(screenings, 0.0).dump())
    assert list(loaded.screenings.items()) == list(screenings.items())


@given(
    st.lists(st.builds(ScreeningSnapshot, IDS, st.none() | IDS, st.none() | IDS, st.none() | st.integers(), st.none()))
)
def test_any_sightings_survive_packing(snapshots):
    assert unpack_snapshots(pack_snapshots(snapshots)) == snapshots


def test_ten_thousand_screenings_stay_small():
    """Airflow keeps a trigger's arguments in a column that some databases end at 64 kB."""
    screenings = {f"s{67890 + number}": f"c{12345 + number}" for number in range(10_000)}
    assert len(json.dumps(WaitSpec(screenings, 0.0).dump())) < 8_000


def test_a_deadline_has_to_come_before_the_timeout():
    with pytest.raises(ConfigurationError, match="deadline is 60 s"):
        WaitSpec({}, 0.0, timeout=60, deadline=60)


@pytest.mark.parametrize(
    ("terms", "left", "last_resort"),
    [
        ({}, None, "timeout"),
        ({"timeout": 60.0}, 50.0, "timeout"),
        ({"timeout": 60.0, "deadline": 30.0}, 20.0, "deadline"),
    ],
)
def test_the_deadline_ends_a_wait_or_else_the_timeout(terms, left, last_resort):
    wait = WaitSpec({}, 100.0, **terms)
    assert wait.seconds_left(110.0) == left
    assert wait.last_resort == last_resort


def test_pauses_are_as_long_as_the_wait_so_far_when_they_back_off():
    wait = WaitSpec({}, 0.0, interval=10.0, exponential_backoff=True, max_wait=60.0)
    assert [wait.pause(now) for now in (0.0, 10.0, 20.0, 40.0, 80.0)] == [10.0, 10.0, 20.0, 40.0, 60.0]


def test_a_screening_that_does_not_show_is_gone_only_after_a_while():
    wait = WaitSpec({"s1": "c1"}, 0.0)
    assert wait.gone({"s1"}, GRACE - 1) == []
    assert wait.gone({"s1", "s2"}, GRACE) == [ScreeningSnapshot("s1", "c1", NOT_FOUND)]
