"""Deliveries as PihuPulse sends them."""

from __future__ import annotations

import json
from typing import Any

import httpx

from pihupulse_provider.webhooks import SIGNATURE_HEADER, sign
from tests.webhooks.running import SECRET


def completed(screening_id: str = "s67890", event: str = "screening.completed", **data: Any) -> bytes:
    """Return the raw body of the reference's sample, for a screening."""
    said = {"screening_id": screening_id, "candidate_id": "c12345", "template_id": "t54321", "score": 85, **data}
    document = {"event": event, "created_at": "2023-01-20T15:45:00Z", "data": said}
    return json.dumps(document, ensure_ascii=False).encode()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a delivery."""
    return {SIGNATURE_HEADER: sign(body, secret), "Content-Type": "application/json"}


def deliver(url: str, body: bytes, secret: str = SECRET) -> httpx.Response:
    """Deliver it."""
    return httpx.post(url, content=body, headers=signed(body, secret), timeout=30)
