"""Webhooks: where they go, what is to be sent, signed, and what became of it."""

from __future__ import annotations

import hashlib
import hmac
import random
import re
from collections import deque
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pihupulse_provider.sandbox.events import Event

SIGNATURE = "X-PihuPulse-Signature"
KEPT = 100_000


def _http(url: str) -> str:
    if not re.fullmatch(r"https?://\S+", url):
        raise ValueError("must begin with http:// or https://")
    return url


Url = Annotated[str, AfterValidator(_http)]
Share = Annotated[float, Field(ge=0, le=1)]


class Webhook(BaseModel):
    """The webhook as it is configured.

    A ``url`` of ``None`` is nowhere; ``loss`` and ``duplication`` are the shares (0 to 1) of deliveries that never
    arrive and of those that arrive twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url | None = None
    secret: str = Field(min_length=1, repr=False)
    loss: Share = 0.0
    duplication: Share = 0.0

    def changed(self, **changes: object) -> Webhook:
        """Return a webhook with some settings changed; raise ``ValueError`` for unknown or wrong ones."""
        return Webhook.model_validate({**self.model_dump(), **changes})


@dataclass
class Delivery:
    """One event on its way; ``status`` is the last response's, ``None`` if there was none."""

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
