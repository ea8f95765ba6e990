"""Clients of a sandbox, with and without a network between."""

from __future__ import annotations

from typing import Any

import httpx

from pihupulse_provider.sandbox import Sandbox

START = 1_700_000_000.0
ALEX = {"name": "Alex Johnson", "email": "alex.johnson@example.com"}


def client_of(sandbox: Sandbox, **options: Any) -> httpx.Client:
    """A client that calls the sandbox directly, or over its port once it serves."""
    if sandbox.port is None:
        options["transport"] = sandbox.transport()
    options.setdefault("headers", {"Authorization": f"Bearer {sandbox.api_key}"})
    return httpx.Client(base_url=sandbox.base_url, trust_env=False, **options)


def created(client: httpx.Client, **fields: Any) -> str:
    """Create a candidate and return its id."""
    response = client.post("/candidates", json={**ALEX, **fields})
    assert response.status_code == 201
    return response.json()["data"]["id"]


def screened(client: httpx.Client, candidate_id: str, **fields: Any) -> str:
    """Create a screening and return its id."""
    body = {"candidate_id": candidate_id, "template_id": "t54321", **fields}
    response = client.post("/screenings", json=body)
    assert response.status_code == 201
    return response.json()["data"]["id"]
