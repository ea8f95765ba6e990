"""Every endpoint and example of the API reference, through both clients."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pihupulse_provider.api import ConfigurationError, NewCandidate, NewScreening, NotFoundError, Page
from pihupulse_provider.api.models import Model
from tests.api import reference
from tests.api.drivers import KEY, Driver, Service

CREATED_SCREENING = {"data": {**reference.LIST_SCREENINGS["data"][1], "job_title": "Senior Frontend Developer"}}
"""The reference shows no answer to "Create Screening": the listed object in the usual envelope, and a field more."""

CALLS: dict[str, tuple[str, tuple[Any, ...], str, dict[str, Any]]] = {
    "List Candidates": ("list_candidates", (), "GET /v1/candidates?page=1&limit=100", reference.LIST_CANDIDATES),
    "Get Candidate": ("get_candidate", ("c12345",), "GET /v1/candidates/c12345", reference.GET_CANDIDATE),
    "Create Candidate": (
        "create_candidate",
        (NewCandidate(**reference.CREATE_CANDIDATE_BODY),),
        "POST /v1/candidates",
        reference.CREATE_CANDIDATE,
    ),
    "List Screenings": ("list_screenings", (), "GET /v1/screenings?page=1&limit=100", reference.LIST_SCREENINGS),
    "Create Screening": (
        "create_screening",
        (NewScreening(**reference.CREATE_SCREENING_BODY),),
        "POST /v1/screenings",
        CREATED_SCREENING,
    ),
    "List Templates": ("list_templates", (), "GET /v1/templates", reference.LIST_TEMPLATES),
    "Get Screening Report": ("get_report", ("s67890",), "GET /v1/screenings/s67890/report", reference.GET_REPORT),
}


@pytest.mark.parametrize("section", CALLS)
def test_example_is_parsed_and_comes_back_whole(connect: Callable[..., Driver], section: str) -> None:
    method, args, _, example = CALLS[section]

    result = connect(Service(httpx.Response(200, json=example))).call(method, *args)

    assert _document(result) == example["data"]


@pytest.mark.parametrize("section", CALLS)
def test_request_is_the_documented_one(connect: Callable[..., Driver], section: str) -> None:
    method, args, line, example = CALLS[section]
    service = Service(httpx.Response(200, json=example))

    connect(service).call(method, *args)

    (request,) = service.requests
    assert f"{request.method} {request.url.raw_path.decode()}" == line
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["user-agent"].startswith("airflow-provider-pihupulse/")


@pytest.mark.parametrize(
    ("section", "body"),
    [
        ("Create Candidate", reference.CREATE_CANDIDATE_BODY),
        ("Create Screening", reference.CREATE_SCREENING_BODY),
    ],
)
def test_body_is_the_documented_one(connect: Callable[..., Driver], section: str, body: dict[str, Any]) -> None:
    method, args, _, example = CALLS[section]
    service = Service(httpx.Response(201, json=example))

    connect(service).call(method, *args)

    assert json.loads(service.requests[0].content) == body
    assert service.requests[0].headers["content-type"] == "application/json"


def test_what_is_not_given_is_not_sent(connect: Callable[..., Driver]) -> None:
    service = Service(httpx.Response(200, json=reference.CREATE_CANDIDATE))

    connect(service).call("create_candidate", NewCandidate(name="Alex Johnson", email="alex@example.com"))

    assert json.loads(service.requests[0].content) == {"name": "Alex Johnson", "email": "alex@example.com"}


def test_meta_of_a_page_is_kept(connect: Callable[..., Driver]) -> None:
    page = connect(Service(httpx.Response(200, json=reference.LIST_CANDIDATES))).call("list_candidates")

    assert page.meta.document() == reference.LIST_CANDIDATES["meta"]


def test_page_knows_when_the_server_made_it(connect: Callable[..., Driver]) -> None:
    headers = {"Date": "Sun, 22 Jan 2023 09:15:00 GMT"}
    page = connect(Service(httpx.Response(200, json=reference.LIST_SCREENINGS, headers=headers))).call(
        "list_screenings"
    )

    assert page.served_at.isoformat() == "2023-01-22T09:15:00+00:00"


def test_candidates_can_be_listed_by_status(connect: Callable[..., Driver]) -> None:
    service = Service(httpx.Response(200, json=reference.LIST_CANDIDATES))

    connect(service).call("list_candidates", page=3, limit=20, status="archived")

    assert dict(service.requests[0].url.params) == {"page": "3", "limit": "20", "status": "archived"}


@pytest.mark.parametrize(
    ("method", "kwargs", "names"),
    [
        ("list_candidates", {"status": "deleted"}, "status"),
        ("list_candidates", {"page": 0}, "page"),
        ("list_screenings", {"limit": 101}, "limit"),
        ("get_candidate", {"candidate_id": " "}, "candidate_id"),
        ("get_candidate", {"candidate_id": ".."}, "candidate_id"),
        ("get_report", {"screening_id": "s" * 256}, "screening_id"),
        ("get_report", {"screening_id": "s1\ud83d"}, "screening_id"),
    ],
)
def test_undocumented_argument_is_refused_before_a_request(
    connect: Callable[..., Driver], method: str, kwargs: dict[str, Any], names: str
) -> None:
    service = Service(httpx.Response(200, json={}))

    with pytest.raises(ConfigurationError, match=names):
        connect(service).call(method, **kwargs)

    assert not service.requests


def test_id_cannot_lead_to_another_path(connect: Callable[..., Driver]) -> None:
    service = Service(httpx.Response(200, json=reference.GET_CANDIDATE))

    connect(service).call("get_candidate", "../screenings?page=1#x")

    assert service.requests[0].url.raw_path == b"/v1/candidates/..%2Fscreenings%3Fpage%3D1%23x"


def _document(result: Any) -> Any:
    if isinstance(result, Page):
        return [item.document() for item in result.data]
    if isinstance(result, list):
        return [item.document() for item in result]
    assert isinstance(result, Model)
    return result.document()


def test_whole_number_is_an_id(connect: Callable[..., Driver]) -> None:
    service = Service(httpx.Response(404, json={"error": {"code": "not_found"}}))

    with pytest.raises(NotFoundError, match="candidate_id 12345 failed"):
        connect(service).call("get_candidate", 12345)
    assert service.requests[0].url.path == "/v1/candidates/12345"


@pytest.mark.parametrize("value", [None, True, 1.5, ["c1"], {"id": "c1"}, b"c1"])
@pytest.mark.parametrize(("method", "argument"), [("get_candidate", "candidate_id"), ("get_report", "screening_id")])
def test_what_is_no_text_is_no_id(connect: Callable[..., Driver], method: str, argument: str, value: object) -> None:
    service = Service(httpx.Response(200))
    kind = "None, as from a task that returned nothing" if value is None else f"a {type(value).__name__}"

    with pytest.raises(ConfigurationError, match=f"{argument} is {kind}: it must be the id that PihuPulse gave"):
        connect(service).call(method, value)
    assert service.requests == []
