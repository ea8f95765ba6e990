from __future__ import annotations

import httpx
import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.sandbox.clients import START, client_of, created, screened

REPORT = {
    "screening_id",
    "candidate_id",
    "candidate_name",
    "template_id",
    "template_name",
    "score",
    "completion_time_minutes",
    "completed_at",
    "skill_scores",
    "summary",
    "strengths",
    "areas_for_improvement",
    "recommendation",
}


def listed(client: httpx.Client) -> dict[str, object]:
    return client.get("/screenings").json()["data"][0]


def test_a_screening_starts_and_completes_by_itself(sandbox: Sandbox, client: httpx.Client) -> None:
    candidate_id = created(client)
    screening_id = screened(client, candidate_id)
    pending = {
        "id": screening_id,
        "candidate_id": candidate_id,
        "template_id": "t54321",
        "status": "pending",
        "score": None,
        "started_at": None,
        "completed_at": None,
    }
    assert listed(client) == pending
    sandbox.advance(2)
    started = {**pending, "status": "in_progress", "started_at": "2023-11-14T22:13:22Z"}
    assert listed(client) == started
    sandbox.advance(5)
    completed = listed(client)
    assert completed["completed_at"] == "2023-11-14T22:13:27Z"
    assert 0 <= completed["score"] <= 100
    assert {**started, "status": "completed"}.items() <= {**completed, "score": None, "completed_at": None}.items()


def test_the_report_exists_once_the_screening_is_completed(sandbox: Sandbox, client: httpx.Client) -> None:
    screening_id = screened(client, created(client))
    missing = client.get(f"/screenings/{screening_id}/report")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    sandbox.complete(screening_id, score=85)
    report = client.get(f"/screenings/{screening_id}/report").json()["data"]
    assert report.keys() == REPORT
    assert (report["score"], report["recommendation"]) == (85, "Recommended for next interview stage")
    assert report["candidate_name"] == "Alex Johnson"
    assert [skill["skill"] for skill in report["skill_scores"]] == ["JavaScript", "React", "CSS"]
    assert report == client.get(f"/screenings/{screening_id}/report").json()["data"]


def test_an_unknown_screening_has_no_report(client: httpx.Client) -> None:
    error = client.get("/screenings/s1/report").json()["error"]
    assert (error["code"], error["details"]) == ("invalid_request", {"screening_id": "s1"})


@pytest.mark.parametrize("status", ["failed", "expired", "cancelled", "under_review"])
def test_any_status_can_be_given_and_kept(sandbox: Sandbox, client: httpx.Client, status: str) -> None:
    screening_id = screened(client, created(client))
    sandbox.put(screening_id, status)
    sandbox.advance(3600)
    seen = listed(client)
    assert (seen["status"], seen["score"], seen["completed_at"]) == (status, None, None)
    assert client.get(f"/screenings/{screening_id}/report").status_code == 404
    sandbox.complete(screening_id)
    assert listed(client)["status"] == "completed"


@pytest.mark.parametrize("status", ["pending", "in_progress"])
def test_a_screening_put_back_stays_there(sandbox: Sandbox, client: httpx.Client, status: str) -> None:
    screening_id = screened(client, created(client))
    sandbox.complete(screening_id)
    sandbox.put(screening_id, status)
    sandbox.advance(3600)
    assert listed(client)["status"] == status


def test_only_wanted_invitations_are_sent(sandbox: Sandbox, client: httpx.Client) -> None:
    candidate_id = created(client)
    screened(client, candidate_id)
    screened(client, candidate_id, send_invitation=False)
    invited = screened(client, candidate_id, send_invitation=True, job_title="Senior Frontend Developer")
    assert sandbox.invitations == [{"screening_id": invited, "candidate_id": candidate_id}]


def test_scores_are_plausible_varied_and_seeded() -> None:
    def scores(seed: int) -> list[int]:
        sandbox = Sandbox(candidates=300, seed=seed, clock=lambda: START)
        sandbox.insert_screenings([row["id"] for row in sandbox.candidates])
        sandbox.advance(60)
        return [row["score"] for row in sandbox.screenings]

    assert scores(1) == scores(1) != scores(2)
    assert min(scores(1)) < 55
    assert max(scores(1)) > 85
    assert 60 < sum(scores(1)) / 300 < 80


def test_the_pace_can_vary_within_its_spread() -> None:
    sandbox = Sandbox(candidates=50, start_seconds=100, screening_seconds=0, spread=0.5, clock=lambda: START)
    sandbox.insert_screenings([row["id"] for row in sandbox.candidates])
    started = []
    for seconds in (49, 51, 51):
        sandbox.advance(seconds)
        started.append(sum(row["status"] == "completed" for row in sandbox.screenings))
    assert started[0] == 0
    assert 0 < started[1] < 50
    assert started[2] == 50


def test_the_templates_of_the_reference_are_there(client: httpx.Client) -> None:
    response = client.get("/templates").json()
    assert response.keys() == {"data"}
    assert response["data"][0] == {
        "id": "t54321",
        "name": "Frontend Developer",
        "description": "Screening for frontend development skills",
        "duration_minutes": 30,
        "question_count": 15,
        "created_at": "2022-12-10T08:30:00Z",
        "updated_at": "2023-01-05T14:20:00Z",
    }
    assert response["data"][1]["id"] == "t54322"


def test_screenings_are_listed_in_the_chosen_order() -> None:
    sandbox = Sandbox(candidates=30, order="newest-first", clock=lambda: START)
    sandbox.insert_screenings([row["id"] for row in sandbox.candidates])
    with client_of(sandbox) as client:
        page = client.get("/screenings", params={"limit": 10, "page": 3}).json()
    assert [row["id"] for row in page["data"]] == [f"s{67890 + place}" for place in range(9, -1, -1)]


@pytest.mark.parametrize("score", [-1, 101, 70.5, "70"])
def test_a_score_that_no_report_can_have_is_refused(sandbox: Sandbox, client: httpx.Client, score: object) -> None:
    screening_id = screened(client, created(client))
    with pytest.raises(ValueError, match="score must be a whole number from 0 to 100"):
        sandbox.complete(screening_id, score)
    assert listed(client)["status"] == "pending"


@pytest.mark.parametrize("score", [0, 100])
def test_a_report_has_any_score_from_0_to_100(sandbox: Sandbox, client: httpx.Client, score: int) -> None:
    screening_id = screened(client, created(client))
    sandbox.complete(screening_id, score)
    assert client.get(f"/screenings/{screening_id}/report").json()["data"]["score"] == score
