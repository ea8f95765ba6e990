"""Events put into the inbox of ``[pihupulse] store_url``, as the receiver does."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from pihupulse_provider.api.events import WebhookEvent
from pihupulse_provider.hooks import settings
from pihupulse_provider.store.cursors import Cursor
from pihupulse_provider.store.inbox import Delivery, Inbox
from tests.webhooks.deliveries import completed


def receive(screening_id: str, event: str = "screening.completed", **data: Any) -> None:
    """Store an event of the connection ``pihupulse_default``."""
    receive_all([screening_id], event, **data)


def receive_all(screening_ids: Iterable[str], event: str = "screening.completed", **data: Any) -> None:
    """Store an event for each screening, in one transaction."""
    bodies = [completed(screening_id, event, **data) for screening_id in screening_ids]
    Inbox(settings.store()).append([Delivery("pihupulse_default", WebhookEvent.parse(body), body) for body in bodies])


def receive_later(seconds: float, screening_id: str, event: str = "screening.completed", **data: Any) -> None:
    """Store it after a while."""
    timer = threading.Timer(seconds, receive, (screening_id, event), data)
    timer.daemon = True
    timer.start()


def cursor_of(consumer: str) -> Cursor:
    """Return the place of a consumer of the connection ``pihupulse_default``."""
    return Cursor(settings.store(), "pihupulse_default", consumer)
