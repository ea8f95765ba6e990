"""Headers are read for what they are worth; none of them can break a request."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pihupulse_provider.api.endpoints import list_candidates
from pihupulse_provider.api.response import Response, decode

SERVED = "Mon, 03 May 2021 00:00:00 GMT"
SERVED_AT = 1_620_000_000


def _answer(status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, b"", sent_at=5000.0, received_at=5001.0)


def test_the_references_example() -> None:
    seen = _answer(
        date=SERVED, x_ratelimit_limit="100", x_ratelimit_remaining="95", x_ratelimit_reset=str(SERVED_AT + 30)
    ).limits(0.5)

    assert (seen.limit, seen.remaining, seen.resets_in, seen.limited) == (100, 95, 30, False)


def test_limit_of_a_gateway_in_between_is_not_the_accounts() -> None:
    """One that answers 502 in PihuPulse's place and counts for itself set the plan to its own 10 requests a minute."""
    seen = _answer(502, x_ratelimit_limit="10", x_ratelimit_remaining="9", x_ratelimit_reset="5030").limits(0.5)

    assert (seen.limit, seen.remaining, seen.reset) == (None, None, None)


def test_reset_without_a_date_is_taken_by_this_machines_clock() -> None:
    assert _answer(x_ratelimit_reset="5011").limits(0.5).resets_in == 10.0


@pytest.mark.parametrize("reset", ["1620000030000", "-5", "soon", "nan", "inf", ""])
def test_reset_that_is_no_epoch_second_counts_as_absent(reset: str) -> None:
    assert _answer(date=SERVED, x_ratelimit_reset=reset).limits(0.5).resets_in is None


@pytest.mark.parametrize("limit", ["0", "0.5", "-1", "100;w=60", "100, 100"])
def test_limit_that_nobody_could_live_with_counts_as_absent(limit: str) -> None:
    assert _answer(x_ratelimit_limit=limit).limits(0.5).limit is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("1.5", 1.5),
        ("Mon, 03 May 2021 00:02:00 GMT", 120.0),
        ("Sun, 02 May 2021 00:00:00 GMT", 0.0),
        ("later", None),
        ("-3", None),
    ],
)
def test_retry_after_may_be_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert _answer(date=SERVED, retry_after=value).retry_after == seconds


def test_a_429_waits_for_the_reset_when_it_has_no_retry_after() -> None:
    reset = {"date": SERVED, "x_ratelimit_reset": str(SERVED_AT + 9)}

    assert _answer(429, **reset).seconds_to_wait() == 9.0
    assert _answer(429, **reset, retry_after="4").seconds_to_wait() == 4.0
    assert _answer(500, **reset).seconds_to_wait() is None


@pytest.mark.parametrize("reset", ["30", str(SERVED_AT - 3600), str(SERVED_AT), str(SERVED_AT + 86400), "9999999999"])
def test_a_429_names_no_time_by_a_reset_that_is_not_ahead_within_the_minute(reset: str) -> None:
    assert _answer(429, date=SERVED, x_ratelimit_reset=reset).seconds_to_wait() is None


def test_date_without_a_zone_is_utc() -> None:
    assert _answer(date="Mon, 03 May 2021 00:00:00 -0000").served_at == datetime(2021, 5, 3, tzinfo=UTC)


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,30} (Jan|Feb) [0-9]{1,30} [0-9:]{1,30} (GMT|[+-][0-9]{1,9})"))
@example("Mon, 99999999999999999999 Jan 2020 00:00:00 GMT")
def test_any_text_is_survived(text: str) -> None:
    answer = _answer(429, date=text, retry_after=text, x_ratelimit_limit=text, x_ratelimit_reset=text)

    wait = answer.seconds_to_wait()

    assert wait is None or wait >= 0
    assert answer.limits(1.0).limited


def test_half_an_emoji_in_one_name_keeps_no_list_from_being_read() -> None:
    rows = rb'[{"id": "c1", "name": "Ana \ud83d", "email": "a@example.com"}, {"id": "c2", "name": "\ud83d\ude00"}]'
    page = decode(list_candidates(), Response(200, {}, b'{"success": true, "data": %b}' % rows, 5000.0, 5001.0))

    assert [(row.id, row.name) for row in page.data] == [("c1", "Ana \ufffd"), ("c2", "\U0001f600")]
