from __future__ import annotations

from typing import Any

import httpx
import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.sandbox.clients import created, screened


@pytest.fixture
def control(sandbox: Sandbox) -> httpx.Client:
    """A client without a key."""
    return httpx.Client(base_url="http://localhost/_sandbox", transport=sandbox.transport())


def done(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


def test_the_actions_describe_themselves(control: httpx.Client) -> None:
    actions = done(control.get(""))["actions"]
    assert actions["POST /_sandbox/faults"].startswith("Switch a fault on")
    assert all(actions.values())


def test_counters_show_operations_and_refusals(sandbox: Sandbox, client: httpx.Client, control: httpx.Client) -> None:
    candidate_id = created(client)
    client.get(f"/candidates/{candidate_id}")
    client.get("/candidates/c1")
    sandbox.fail_next("rate_limited")
    client.get("/elsewhere")
    assert done(control.get("/counters")) == {
        "total": 4,
        "refused": 1,
        "operations": {
            "GET /candidates/:id": {"200": 1, "404": 1},
            "GET undocumented": {"429": 1},
            "POST /candidates": {"201": 1},
        },
    }
    assert done(control.delete("/counters"))["total"] == 0


def test_faults_are_switched_on_and_off(client: httpx.Client, control: httpx.Client) -> None:
    fault = {"kind": "error", "status": 503, "path": "/templates", "probability": 1}
    assert done(control.post("/faults", json=fault))[0]["status"] == 503
    assert client.get("/templates").status_code == 503
    assert done(control.delete("/faults")) == done(control.get("/faults")) == []
    assert client.get("/templates").status_code == 200


def test_rows_are_inserted_changed_and_deleted(client: httpx.Client, control: httpx.Client) -> None:
    first, second = done(control.post("/candidates", json={"count": 2}))["ids"]
    assert done(control.patch(f"/candidates/{first}", json={"status": "archived"}))["status"] == "archived"
    screening_id = done(control.post("/screenings", json={"candidate_ids": [first]}))["ids"][0]
    changed = done(control.patch(f"/screenings/{screening_id}", json={"status": "completed", "score": 77}))
    assert (changed["status"], changed["score"]) == ("completed", 77)
    assert client.get(f"/screenings/{screening_id}/report").json()["data"]["score"] == 77
    done(control.delete(f"/screenings/{screening_id}"))
    assert client.get("/screenings").json()["data"] == []
    done(control.delete(f"/candidates/{first}"))
    assert [row["id"] for row in client.get("/candidates").json()["data"]] == [second]


def test_a_body_needs_no_content_type(sandbox: Sandbox, client: httpx.Client, control: httpx.Client) -> None:
    """``curl -d`` calls it a form."""
    screening_id = screened(client, created(client))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    done(control.patch(f"/screenings/{screening_id}", content='{"status": "completed"}', headers=form))
    assert sandbox.screenings[0]["status"] == "completed"


def test_invitations_are_listed(client: httpx.Client, control: httpx.Client) -> None:
    candidate_id = created(client)
    screening_id = screened(client, candidate_id, send_invitation=True)
    assert done(control.get("/invitations")) == [{"screening_id": screening_id, "candidate_id": candidate_id}]


def test_the_webhook_is_changed_without_showing_its_secret(sandbox: Sandbox, control: httpx.Client) -> None:
    change = {"url": "http://127.0.0.1:9/x", "secret": "whsec_new", "loss": 0.5}
    assert done(control.patch("/webhooks", json=change)) == {
        "url": "http://127.0.0.1:9/x",
        "loss": 0.5,
        "duplication": 0.0,
    }
    assert sandbox.webhook_secret == "whsec_new"
    assert done(control.get("/webhooks")) == []


def test_time_passes_on_demand(sandbox: Sandbox, client: httpx.Client, control: httpx.Client) -> None:
    screened(client, created(client))
    done(control.patch("/clock", json={"advance": 60, "skew": 30}))
    assert sandbox.screenings[0]["status"] == "completed"
    assert client.get("/templates").headers["Date"] == "Tue, 14 Nov 2023 22:14:50 GMT"


def test_a_reset_begins_again(sandbox: Sandbox, client: httpx.Client, control: httpx.Client) -> None:
    created(client)
    sandbox.fail("error")
    done(control.post("/reset"))
    assert sandbox.requests == []
    assert created(client) == "c12345"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/faults", {"kind": "fire"}),
        ("POST", "/faults", {}),
        ("POST", "/candidates", {"count": -1}),
        ("POST", "/candidates", {}),
        ("PATCH", "/candidates/c12345", {"status": "gone"}),
        ("POST", "/screenings", {"template_id": "t1"}),
        ("PATCH", "/screenings/s67890", {"status": "completed", "score": 101}),
        ("PATCH", "/webhooks", {"url": "nowhere"}),
        ("PATCH", "/webhooks", {"uri": "http://127.0.0.1:9/"}),
        ("PATCH", "/clock", {"advance": "soon"}),
    ],
)
def test_what_is_not_understood_is_refused_and_changes_nothing(
    sandbox: Sandbox, control: httpx.Client, method: str, path: str, body: dict[str, Any]
) -> None:
    sandbox.insert_screenings(sandbox.insert_candidates(1))
    before = sandbox.candidates
    assert control.request(method, path, json=body).status_code == 400
    assert sandbox.candidates == before


@pytest.mark.parametrize("path", ["/nothing", "/candidates/c1/x"])
def test_unknown_actions_and_rows_are_not_found(control: httpx.Client, path: str) -> None:
    assert control.delete(path).status_code == 404
    assert control.delete("/candidates/c1").status_code == 404
