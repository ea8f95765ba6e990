from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from pihupulse_provider.sandbox import Fault, Sandbox, Settings
from pihupulse_provider.sandbox.command_line import settings_from
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


@pytest.mark.parametrize(
    "choice",
    [
        {"method": "post"},
        {"path": "/v1/candidates"},
        {"path": "/candidates*", "method": "Post"},
        {"path": "/*"},
        {"path": "/candidate?"},
        {"path": "/[a-c]andidates"},
    ],
)
def test_a_choice_of_requests_is_taken_as_it_is_meant(
    sandbox: Sandbox, client: httpx.Client, choice: dict[str, str]
) -> None:
    sandbox.fail_next("error", **choice)
    assert create(client).status_code == 500


@pytest.mark.parametrize(
    "path", ["/candidates/:id", "/v1/candidates/:id", "/candidates/c12345", "/candidates/c1234[0-9]", "*5", "*/c?2*"]
)
def test_a_path_may_name_an_id_or_leave_it_open(sandbox: Sandbox, client: httpx.Client, path: str) -> None:
    sandbox.insert_candidates(1)
    sandbox.fail_next("error", path=path, method="get")
    assert client.get("/candidates/c12345").status_code == 500


@pytest.mark.parametrize(
    "choice",
    [
        {"path": "candidates"},
        {"path": "/candidates/"},
        {"path": "/v2/candidates"},
        {"path": "/candidates?page=2"},
        {"path": "/candidates/c12345/screenings"},
        {"path": "/screenings/:id/*/report"},
        {"path": "http://localhost/v1/candidates"},
        {"path": ""},
        {"method": "PATCH"},
        {"method": ""},
        {"method": "POST", "path": "/templates"},
    ],
)
def test_a_fault_that_no_documented_request_can_meet_is_refused(sandbox: Sandbox, choice: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no documented request .*GET /candidates/:id"):
        sandbox.fail("drop", **choice)


def test_so_it_is_in_an_option_and_in_the_control_api(
    sandbox: Sandbox, client: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settings_from(["--fault", "drop,method=post,path=/v1/candidates"]).faults == (
        Fault("drop", method="POST", path="/candidates"),
    )
    with pytest.raises(SystemExit):
        settings_from(["--fault", "drop,path=candidates"])
    assert "no documented request" in capsys.readouterr().err.splitlines()[-1]
    control = client.base_url.copy_with(path="/_sandbox/faults")
    refused = client.post(control, json={"kind": "error", "path": "candidates"})
    assert (refused.status_code, refused.json()["error"]["message"][:21]) == (400, "no documented request")
    client.post(control, json={"kind": "error", "method": "post"})
    assert create(client).status_code == 500


def test_of_several_that_replace_the_response_one_strikes_at_a_time(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail_next("error", status=500)
    sandbox.fail_next("html", status=503)
    sandbox.fail_next("empty", after_commit=True)
    sandbox.fail_next("rate_limited")
    assert [create(client).status_code for _ in range(5)] == [500, 503, 200, 429, 201]
    assert len(sandbox.candidates) == 2


def test_a_response_that_never_comes_is_not_replaced_as_well(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.fail_next("drop")
    sandbox.fail_next("error")
    with pytest.raises(httpx.RemoteProtocolError):
        create(client)
    assert [create(client).status_code for _ in range(2)] == [500, 201]


@pytest.mark.parametrize("after_commit", [False, True])
def test_an_error_may_be_late(sandbox: Sandbox, after_commit: bool) -> None:
    sandbox.fail_next("latency", seconds=30)
    sandbox.fail_next("error", after_commit=after_commit)
    with client_of(sandbox, timeout=0.05) as client:
        with pytest.raises(httpx.ReadTimeout):
            create(client)
        assert create(client).status_code == 201
    assert len(sandbox.candidates) == 1 + after_commit


def test_the_faults_of_settings_are_there_again_after_a_reset() -> None:
    settings = Settings(faults=(Fault("error", times=1),))
    for sandbox in (Sandbox(settings), Sandbox(settings)):
        with client_of(sandbox) as client:
            assert [create(client).status_code for _ in range(2)] == [500, 201]
            sandbox.service.reset()
            assert [create(client).status_code for _ in range(2)] == [500, 201]
