from __future__ import annotations

import email.utils

import httpx
import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.sandbox.clients import START, client_of

MINUTE_BEFORE_END = 40.0
"""``START`` lies 40 seconds before the end of the clock's minute."""


def limited(**options: object) -> tuple[Sandbox, httpx.Client]:
    sandbox = Sandbox(clock=lambda: START, **options)
    return sandbox, client_of(sandbox)


def granted(client: httpx.Client, tries: int) -> int:
    return sum(client.get("/templates").status_code == 200 for _ in range(tries))


def rate_headers(response: httpx.Response) -> tuple[int, int, int]:
    limit, remaining, reset = (int(response.headers[f"X-RateLimit-{name}"]) for name in ("Limit", "Remaining", "Reset"))
    return limit, remaining, reset - int(START)


@pytest.mark.parametrize(("plan", "rate"), [("starter", 100), ("professional", 300), ("enterprise", 1000)])
def test_a_plan_allows_its_burst_then_its_rate(plan: str, rate: int) -> None:
    sandbox, client = limited(plan=plan)
    assert rate_headers(client.get("/templates"))[:2] == (rate, rate * 3 // 2 - 1)
    assert granted(client, rate * 2) == rate * 3 // 2 - 1
    sandbox.advance(60)
    assert granted(client, rate * 2) == rate


def test_requests_at_the_exact_rate_are_never_refused() -> None:
    sandbox, client = limited(requests_per_minute=100, burst=1)
    for _ in range(1000):
        assert client.get("/templates").status_code == 200
        sandbox.advance(0.6)


def test_a_window_allows_the_rate_in_each_minute_of_the_clock() -> None:
    sandbox, client = limited(plan="starter", limit_reading="window")
    assert granted(client, 150) == 100
    sandbox.advance(MINUTE_BEFORE_END - 0.1)
    assert granted(client, 1) == 0
    sandbox.advance(0.1)
    assert granted(client, 150) == 100


def test_a_window_can_allow_the_burst() -> None:
    _, client = limited(plan="starter", limit_reading="window", window_burst=True)
    assert granted(client, 200) == 150


def test_a_refusal_is_rate_limited_and_costs_nothing() -> None:
    sandbox, client = limited(requests_per_minute=60, burst=1)
    assert client.get("/templates").status_code == 200
    refused = client.get("/templates")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert rate_headers(refused) == (60, 0, 1)
    assert "Retry-After" not in refused.headers
    sandbox.advance(1)
    assert client.get("/templates").status_code == 200
    assert sandbox.count(status=429) == 1


@pytest.mark.parametrize(
    ("reading", "meaning", "after"),
    [
        ("bucket", None, 0),
        ("bucket", "next-slot", 0),
        ("bucket", "full-bucket", 6),
        ("bucket", "window-end", 40),
        ("window", None, 40),
        ("window", "window-end", 40),
        ("window", "full-bucket", 40),
        ("window", "next-slot", 0),
    ],
)
def test_reset_means_what_was_chosen(reading: str, meaning: str | None, after: int) -> None:
    _, client = limited(requests_per_minute=10, burst=15, limit_reading=reading, reset_meaning=meaning)
    assert rate_headers(client.get("/templates"))[2] == after


def test_errors_bear_the_headers_and_cost_a_request_but_a_wrong_key_does_not() -> None:
    _, client = limited(requests_per_minute=100, burst=100)
    stranger = client.get("/templates", headers={"Authorization": "Bearer wrong"})
    assert "X-RateLimit-Limit" not in stranger.headers
    assert rate_headers(client.get("/nowhere"))[1] == 99
    assert rate_headers(client.post("/candidates", json={}))[1] == 98


def test_a_skewed_clock_shows_in_everything_it_tells_and_changes_nothing_else() -> None:
    sandbox, client = limited(requests_per_minute=60, burst=1)
    sandbox.skew(-90)
    response = client.get("/templates")
    assert email.utils.parsedate_to_datetime(response.headers["Date"]).timestamp() == START - 90
    assert rate_headers(response)[2] == 1 - 90
    sandbox.advance(1)
    created = client.post("/candidates", json={"name": "A", "email": "a@b.co"}).json()["data"]
    assert created["created_at"] == "2023-11-14T22:11:51Z"


def test_an_unlimited_plan_never_refuses(client: httpx.Client) -> None:
    assert granted(client, 2000) == 2000


@pytest.mark.parametrize("options", [{"plan": "gold"}, {"burst": 5}, {"requests_per_minute": 0}])
def test_impossible_limits_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"plan|burst|requests_per_minute"):
        Sandbox(**options)
