from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.sandbox.clients import ALEX, START, client_of


@pytest.fixture(params=["in process", "over a port"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    made = Sandbox(clock=lambda: START)
    if request.param == "in process":
        yield made
    else:
        with made:
            yield made


def create(client: httpx.Client) -> httpx.Response:
    return client.post("/candidates", json=ALEX)


@pytest.mark.parametrize("kind", ["drop", "error", "html", "rate_limited", "empty"])
@pytest.mark.parametrize("after_commit", [False, True])
def test_a_fault_strikes_before_or_after_the_commit(
    sandbox: Sandbox, client: httpx.Client, kind: str, after_commit: bool
) -> None:
    sandbox.fail_next(kind, after_commit=after_commit)
    try:
        create(client)
    except httpx.RemoteProtocolError:
        assert kind == "drop"
    assert len(sandbox.candidates) == after_commit
    assert create(client).status_code == 201


def test_a_dropped_answer_is_no_answer(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail_next("drop")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        create(client)
    assert sandbox.count("POST /candidates", status=0) == 1


def test_a_truncated_answer_holds_half_of_its_json(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail_next("truncated")
    response = create(client)
    assert response.status_code == 201
    assert response.text.startswith('{"data":{"id":"c12345"')
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        response.json()
    assert len(sandbox.candidates) == 1


def test_a_cut_answer_ends_in_the_middle_of_its_body(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail_next("cut")
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        create(client)
    assert len(sandbox.candidates) == 1


def test_an_error_has_the_shape_of_the_api(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail_next("error", status=503, retry_after="7")
    response = create(client)
    assert (response.status_code, response.json()["error"]["status"]) == (503, 503)
    assert response.headers["Retry-After"] == "7"
    sandbox.fail_next("error", status=403)
    assert create(client).json()["error"]["code"] == "forbidden"


def test_html_comes_as_from_a_proxy(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail_next("html")
    response = create(client)
    assert (response.status_code, response.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert response.text.startswith("<!DOCTYPE html>")
    assert "X-RateLimit-Limit" not in response.headers


def test_a_429_can_come_without_headers(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail_next("rate_limited")
    response = create(client)
    assert response.status_code == 429
    assert not [name for name in response.headers if name.startswith("x-ratelimit") or name == "retry-after"]


def test_a_late_answer_times_out_although_the_work_was_done(sandbox: Sandbox) -> None:
    sandbox.fail_next("latency", seconds=30)
    with client_of(sandbox, timeout=0.05) as client, pytest.raises(httpx.ReadTimeout):
        create(client)
    assert len(sandbox.candidates) == 1


def test_a_late_answer_arrives(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail_next("latency", seconds=0.05)
    assert create(client).status_code == 201


def test_a_fault_concerns_the_chosen_requests_only(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail("error", method="GET", path="/screenings/*/report")
    assert create(client).status_code == 201
    assert client.get("/screenings").status_code == 200
    assert [client.get("/screenings/s1/report").status_code for _ in range(3)] == [500, 500, 500]
    sandbox.heal()
    assert client.get("/screenings/s1/report").status_code == 404


def test_faults_end_after_their_times(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail_next("error", 2)
    assert [create(client).status_code for _ in range(3)] == [500, 500, 201]


def test_a_probability_leaves_some_requests_out(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail("error", probability=0.3)
    failed = sum(client.get("/templates").status_code == 500 for _ in range(200))
    assert 40 < failed < 80


def test_latency_adds_to_other_faults(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail_next("latency", seconds=0.01)
    sandbox.fail_next("error", after_commit=True)
    assert create(client).status_code == 500
    assert len(sandbox.candidates) == 1


@pytest.mark.parametrize("options", [{"kind": "fire"}, {"kind": "drop", "probability": 2}, {"kind": "drop", "how": 1}])
def test_unknown_faults_are_refused(sandbox: Sandbox, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        sandbox.fail(**options)
