"""Webhook deliveries: what is to be sent, signed, and what became of it."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from pihupulse_provider.sandbox.events import Event
from pihupulse_provider.sandbox.webhook import Webhook

SIGNATURE = "X-PihuPulse-Signature"
KEPT = 100_000


@dataclass
class Delivery:
    """One event on its way; ``status`` is the last answer's, ``None`` if there was none."""

    url: str
    event: Event
    body: bytes
    signature: str
    lost: bool = False
    attempts: int = 0
    status: int | None = None

    @property
    def arrived(self) -> bool:
        """Tell whether the receiver has accepted it."""
        return self.status is not None and 200 <= self.status < 300

    def shown(self) -> dict[str, Any]:
        """Return the delivery as JSON."""
        return {
            "url": self.url,
            **asdict(self.event),
            "signature": self.signature,
            "lost": self.lost,
            "attempts": self.attempts,
            "status": self.status,
            "arrived": self.arrived,
        }


class Outbox:
    """Turns events into deliveries for the URL that is set, and remembers them."""

    def __init__(self, webhook: Webhook, seed: int) -> None:
        self.webhook = webhook
        self.deliveries: deque[Delivery] = deque(maxlen=KEPT)
        self._chance = random.Random(seed)

    def post(self, event: Event) -> list[Delivery]:
        """Return what is to be sent for an event: nothing without a URL, sometimes nothing, sometimes two."""
        webhook = self.webhook
        if webhook.url is None:
            return []
        lost = self._chance.random() < webhook.loss
        copies = 1 if lost or self._chance.random() >= webhook.duplication else 2
        body = event.body
        signature = sign(body, webhook.secret)
        made = [Delivery(webhook.url, event, body, signature, lost) for _ in range(copies)]
        self.deliveries.extend(made)
        return [] if lost else made


def sign(body: bytes, secret: str) -> str:
    """Return the HMAC-SHA256 of the raw body in hex (API reference, "Securing Webhooks")."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
