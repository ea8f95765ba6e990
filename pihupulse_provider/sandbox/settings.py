"""How a sandbox is set up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from pihupulse_provider.sandbox.account import Order
from pihupulse_provider.sandbox.data import TEMPLATES, Template
from pihupulse_provider.sandbox.faults import Fault
from pihupulse_provider.sandbox.limits import (
    PLANS,
    Bucket,
    Limiter,
    Reading,
    ResetMeaning,
    Unlimited,
    Window,
)
from pihupulse_provider.sandbox.webhooks import Share, Url, Webhook

DEFAULT_API_KEY = "pp_sandbox"
DEFAULT_WEBHOOK_SECRET = "whsec_sandbox"  # noqa: S105 - documented, and worth nothing


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be chosen before a sandbox starts.

    - ``plan``: ``starter``, ``professional``, ``enterprise`` or ``unlimited``. ``requests_per_minute`` and
      ``burst`` replace its numbers; a rate without a burst gets half as much again, as the plans have.
    - ``limit_reading``: ``bucket`` (a token bucket of ``burst``) or ``window`` (``requests_per_minute`` in each
      minute of the clock, or ``burst`` with ``window_burst``).
    - ``reset_meaning``: what ``X-RateLimit-Reset`` means: ``next-slot``, ``window-end`` or ``full-bucket``. By
      default the next slot of a bucket and the end of a window.
    - ``port``: 0 is a free one.
    - ``data``: a JSON Lines file that keeps everything over restarts; ``None`` is memory.
    - ``order``: of the lists.
    - ``start_seconds``, ``screening_seconds``, ``spread``: see ``Pace``.
    - ``webhook_url``: where events go; ``None`` is nowhere. ``webhook_loss`` and ``webhook_duplication`` are the
      shares (0 to 1) of deliveries that never arrive or arrive twice.
    - ``candidates``: how many there are at the start, a minute apart.
    - ``unique_ids``: ids differ from those of every other start, as the numbers in them count from its time; else
      they begin at ``c12345`` and ``s67890``.
    - ``clock``: returns epoch seconds.
    """

    plan: Literal["starter", "professional", "enterprise", "unlimited"] = "unlimited"
    requests_per_minute: PositiveInt | None = None
    burst: PositiveInt | None = None
    limit_reading: Reading = "bucket"
    reset_meaning: ResetMeaning | None = None
    window_burst: bool = False
    api_key: str = DEFAULT_API_KEY
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    data: Path | None = None
    seed: int = 1
    order: Order = "oldest-first"
    start_seconds: NonNegativeFloat = 2.0
    screening_seconds: NonNegativeFloat = 5.0
    spread: Share = 0.0
    webhook_url: Url | None = None
    webhook_secret: str = Field(default=DEFAULT_WEBHOOK_SECRET, min_length=1)
    webhook_loss: Share = 0.0
    webhook_duplication: Share = 0.0
    candidates: NonNegativeInt = 0
    unique_ids: bool = False
    templates: tuple[Template, ...] = TEMPLATES
    faults: tuple[Fault, ...] = ()
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if self.plan == "unlimited" and self.requests_per_minute is None and self.burst is not None:
            raise ValueError("a burst needs a rate: give requests_per_minute too, or a plan that has one")

    def webhook(self) -> Webhook:
        """Return the webhook as it is at the start."""
        return Webhook(
            url=self.webhook_url,
            secret=self.webhook_secret,
            loss=self.webhook_loss,
            duplication=self.webhook_duplication,
        )

    def limiter(self) -> Limiter:
        """Return the limit of the API key."""
        if self.requests_per_minute is None and self.plan == "unlimited":
            return Unlimited()
        rate, burst = PLANS.get(self.plan, (0, 0))
        if self.requests_per_minute is not None:
            rate, burst = self.requests_per_minute, self.requests_per_minute * 3 // 2
        burst = self.burst or burst
        if self.limit_reading == "bucket":
            return Bucket(rate, burst, self.reset_meaning or "next-slot")
        return Window(rate, burst if self.window_burst else rate, self.reset_meaning or "window-end")
