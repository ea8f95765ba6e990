from __future__ import annotations

from typing import Any

import httpx
import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.sandbox.clients import ALEX, created


def details(response: httpx.Response, status: int = 400, code: str = "invalid_request") -> Any:
    error = response.json()["error"]
    assert (response.status_code, error["status"], error["code"]) == (status, status, code)
    return error.get("details")


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "pp_sandbox"}])
def test_a_wrong_or_missing_key_is_unauthorized(sandbox: Sandbox, header: dict[str, str]) -> None:
    with httpx.Client(base_url=sandbox.base_url, transport=sandbox.transport(), headers=header) as client:
        assert details(client.get("/candidates"), 401, "unauthorized") is None


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"name": "is required", "email": "is required"}),
        ({**ALEX, "email": "alex"}, {"email": "must be an email address"}),
        ({**ALEX, "name": " "}, {"name": "must be a string that is not blank"}),
        ({**ALEX, "name": None}, {"name": "must be a string that is not blank"}),
        ({**ALEX, "resume_url": "/tmp/cv.pdf"}, {"resume_url": "must be an http or https URL"}),
        ({**ALEX, "status": "active"}, {"status": "is not a known field"}),
    ],
)
def test_a_bad_candidate_is_refused_field_by_field(
    client: httpx.Client, body: dict[str, Any], problems: dict[str, str]
) -> None:
    assert details(client.post("/candidates", json=body)) == problems
    assert client.get("/candidates").json()["data"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "a.o'brien@example.com"},
        {"email": "jörg@example.com"},
        {"email": "j@münchen.de"},
        {"email": "j@mu\u0308nchen.de"},
        {"email": "राम@उदाहरण.भारत"},
        {"email": f"{'a' * 64}@{'b.' * 94}example"},
        {"name": "A " * 1000},
        {"resume_url": f"https://bucket.s3.amazonaws.com/cv.pdf?X-Amz-Security-Token={'A' * 1500}"},
        {"resume_url": "HTTPS://example.com/lebenslauf/jörg.pdf"},
    ],
)
def test_what_a_service_can_take_is_not_refused(client: httpx.Client, fields: dict[str, str]) -> None:
    created(client, **fields)


@pytest.mark.parametrize(
    "email",
    [
        *("a@b.co\n", "a@b.co\r", "a b@c.co", "a@b .co", "a\u00a0b@c.co", "a\x00@b.co", "a\x7f@b.co", "@b.co", "a@"),
        *("a@b@c.co", "a@b", "a@.co", "a@b.", "a@b..co", "a@b.co,c", "Alex <a@b.co>", "a@b/c.co", 7),
    ],
)
def test_what_is_no_email_address_is_refused(client: httpx.Client, email: object) -> None:
    assert details(client.post("/candidates", json={**ALEX, "email": email})) == {"email": "must be an email address"}


@pytest.mark.parametrize("link", ["https://example.com/a b", "https://example.com/cv\n", "http://", "ftp://a.co/b"])
def test_what_is_no_link_is_refused(client: httpx.Client, link: str) -> None:
    refusal = {"resume_url": "must be an http or https URL"}
    assert details(client.post("/candidates", json={**ALEX, "resume_url": link})) == refusal


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000, b" " * 1_000_001])
def test_a_body_that_is_no_json_object_is_refused(client: httpx.Client, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert details(client.post("/candidates", content=content, headers=headers)) is None


def test_a_body_of_another_content_type_is_refused(client: httpx.Client) -> None:
    assert details(client.post("/candidates", data=ALEX)) is None


@pytest.mark.parametrize("query", ["limit=101", "limit=0", "page=0", "page=-1", "page=1.5", "page=", "page=x"])
def test_an_impossible_page_is_refused(client: httpx.Client, query: str) -> None:
    for path in ("/candidates", "/screenings"):
        assert query.partition("=")[0] in details(client.get(f"{path}?{query}"))


@pytest.mark.parametrize(
    "path",
    [
        "/candidates?email=a@b.co",
        "/candidates?status=new",
        "/candidates?page=1&page=2",
        "/screenings?candidate_id=c1",
        "/screenings?status=completed",
        "/templates?page=1",
        "/candidates/c12345?expand=screenings",
    ],
)
def test_undocumented_parameters_are_refused(client: httpx.Client, path: str) -> None:
    assert details(client.get(path))


@pytest.mark.parametrize(
    "path", ["/screenings/s67890", "/templates/t54321", "/webhooks", "/candidates/", "/candidates/c1/screenings", "/"]
)
def test_undocumented_paths_do_not_exist(client: httpx.Client, path: str) -> None:
    details(client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/candidates/c12345", "GET"),
        ("PATCH", "/candidates/c12345", "GET"),
        ("PUT", "/screenings", "GET, POST"),
        ("POST", "/templates", "GET"),
    ],
)
def test_undocumented_methods_are_refused(client: httpx.Client, method: str, path: str, allowed: str) -> None:
    response = client.request(method, path)
    details(response, 405)
    assert response.headers["Allow"] == allowed


def test_a_screening_needs_a_candidate_and_a_template_that_exist(client: httpx.Client) -> None:
    known = {"candidate_id": created(client), "template_id": "t54322"}
    unknown_candidate = client.post("/screenings", json={**known, "candidate_id": "c1"})
    assert details(unknown_candidate, 404) == {"candidate_id": "c1"}
    unknown_template = client.post("/screenings", json={**known, "template_id": "t1"})
    assert details(unknown_template, 404) == {"template_id": "t1"}
    assert details(client.post("/screenings", json={**known, "send_invitation": "yes"})) == {
        "send_invitation": "must be a boolean"
    }


def test_refusals_do_not_repeat_personal_values(client: httpx.Client) -> None:
    response = client.post("/candidates", json={"name": "Alex Johnson", "email": "alex at example"})
    assert "lex" not in response.text
