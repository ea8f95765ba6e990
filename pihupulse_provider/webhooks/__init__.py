"""Webhooks: signatures, events, and the receiver that stores them in the inbox."""

from __future__ import annotations

from pihupulse_provider.api.events import EVENTS, EventError, WebhookEvent
from pihupulse_provider.store.inbox import Inbox
from pihupulse_provider.webhooks.signature import SIGNATURE_HEADER, sign, verify

__all__ = ["EVENTS", "SIGNATURE_HEADER", "EventError", "Inbox", "WebhookEvent", "sign", "verify"]
