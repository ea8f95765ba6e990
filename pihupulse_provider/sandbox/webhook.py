"""Where webhooks go, and what may become of them on the way."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Webhook(BaseModel):
    """The webhook as it is configured.

    A ``url`` of ``None`` is nowhere; ``loss`` and ``duplication`` are the shares (0 to 1) of deliveries that never
    arrive and of those that arrive twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    secret: str = Field(min_length=1, repr=False)
    loss: float = Field(default=0.0, ge=0, le=1)
    duplication: float = Field(default=0.0, ge=0, le=1)

    def changed(self, **changes: object) -> Webhook:
        """Return a webhook with some settings changed; raise ``ValueError`` for unknown or wrong ones."""
        return Webhook.model_validate({**self.model_dump(), **changes})
