from __future__ import annotations

import httpx
import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.sandbox.clients import ALEX, START, client_of, created, screened

LISTED = {"id", "name", "email", "phone", "status", "created_at", "updated_at"}
DETAILED = LISTED | {"resume_url", "skills", "experience_years", "education", "screenings"}


def test_a_created_candidate_has_the_documented_fields(client: httpx.Client) -> None:
    body = {**ALEX, "phone": "+1122334455", "resume_url": "https://example.com/resumes/alex_johnson.pdf"}
    response = client.post("/candidates", json=body)
    assert response.status_code == 201
    assert response.json() == {
        "data": {
            "id": "c12345",
            "name": "Alex Johnson",
            "email": "alex.johnson@example.com",
            "phone": "+1122334455",
            "status": "active",
            "resume_url": "https://storage.pihupulse.com/resumes/c12345.pdf",
            "created_at": "2023-11-14T22:13:20Z",
            "updated_at": "2023-11-14T22:13:20Z",
        }
    }


def test_the_same_email_twice_makes_two_candidates(client: httpx.Client) -> None:
    assert created(client) != created(client)


def test_a_candidate_is_read_back_with_its_screenings(sandbox: Sandbox, client: httpx.Client) -> None:
    candidate_id = created(client)
    screening_id = screened(client, candidate_id)
    sandbox.complete(screening_id, score=85)
    candidate = client.get(f"/candidates/{candidate_id}").json()["data"]
    assert candidate.keys() == DETAILED
    assert candidate["screenings"] == [
        {"id": screening_id, "status": "completed", "score": 85, "completed_at": "2023-11-14T22:13:20Z"}
    ]


def test_completing_a_screening_updates_its_candidate(sandbox: Sandbox, client: httpx.Client) -> None:
    candidate_id = created(client)
    screening_id = screened(client, candidate_id)
    sandbox.advance(3)
    sandbox.complete(screening_id)
    assert client.get(f"/candidates/{candidate_id}").json()["data"]["updated_at"] == "2023-11-14T22:13:23Z"


def test_an_unknown_candidate_gets_the_sample_error_of_the_reference(client: httpx.Client) -> None:
    response = client.get("/candidates/c12345")
    assert response.status_code == 404
    assert response.json() == {
        "error": {
            "code": "invalid_request",
            "message": "The candidate ID is invalid or not found",
            "status": 404,
            "details": {"candidate_id": "c12345"},
        }
    }


@pytest.mark.parametrize(("order", "first"), [("oldest-first", "c12345"), ("newest-first", "c12442")])
def test_pages_hold_every_candidate_once_in_order(order: str, first: str) -> None:
    sandbox = Sandbox(candidates=98, order=order, clock=lambda: START)
    with client_of(sandbox) as client:
        pages = [client.get("/candidates", params={"page": page}).json() for page in range(1, 7)]
    assert pages[0]["data"][0].keys() == LISTED
    assert pages[0]["meta"] == {"current_page": 1, "total_pages": 5, "total_count": 98, "per_page": 20}
    ids = [row["id"] for page in pages for row in page["data"]]
    assert ids[0] == first
    assert sorted(ids) == [f"c{serial}" for serial in range(12345, 12345 + 98)]
    assert pages[5]["data"] == []


def test_the_status_filter_divides_the_list(sandbox: Sandbox, client: httpx.Client) -> None:
    active, archived, _ = sandbox.insert_candidates(3)[:3]
    sandbox.archive(archived)

    def ids(**params: str) -> set[str]:
        return {row["id"] for row in client.get("/candidates", params=params).json()["data"]}

    assert ids(status="archived") == {archived}
    assert active in ids(status="active")
    assert archived not in ids(status="active")
    assert len(ids(status="all")) == len(ids()) == 3


def test_a_deleted_candidate_is_gone_with_its_screenings(sandbox: Sandbox, client: httpx.Client) -> None:
    candidate_ids = sandbox.insert_candidates(3)
    sandbox.insert_screenings(candidate_ids)
    sandbox.delete(candidate_ids[1])
    assert [row["id"] for row in client.get("/candidates").json()["data"]] == [candidate_ids[0], candidate_ids[2]]
    assert client.get("/screenings").json()["meta"]["total_count"] == 2
    assert created(client) == "c12348"


def test_generated_people_depend_on_the_seed_alone_and_share_no_email() -> None:
    first, again, other = (Sandbox(candidates=500, seed=seed, clock=lambda: START) for seed in (1, 1, 2))
    assert first.candidates == again.candidates != other.candidates
    assert len({row["email"] for row in first.candidates}) == 500
