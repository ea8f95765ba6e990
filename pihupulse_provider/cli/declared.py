"""The commands, declared once for both ways to call them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from pihupulse_provider.api.events import EVENTS, SCREENING_COMPLETED

DEFAULT_CONNECTION = "pihupulse_default"
DEFAULT_PORT = 9200


@dataclass(frozen=True)
class Argument:
    """An option, and what argparse is told about it."""

    flag: str
    help: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Command:
    """A command.

    :ivar implementation: ``module:function`` in this package; it is imported when the command runs.
    """

    name: str
    help: str
    implementation: str
    arguments: tuple[Argument, ...] = ()

    def run(self, arguments: Namespace) -> None:
        """Run it."""
        module, function = self.implementation.split(":")
        run: Callable[[Namespace], None] = getattr(import_module(f"{__package__}.{module}"), function)
        run(arguments)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=moment.tzinfo or UTC)


_CONNECTION = Argument("--connection", "The connection id.", {"default": DEFAULT_CONNECTION})
_SINCE = Argument("--since", "An ISO 8601 time, in UTC unless it says otherwise.", {"type": _moment})

COMMANDS = (
    Command(
        "serve",
        "Receive webhooks without an API server.",
        "receiver:serve",
        (
            Argument("--host", "The address to listen at.", {"default": "127.0.0.1"}),
            Argument("--port", "The port to listen at.", {"type": int, "default": DEFAULT_PORT}),
            Argument("--workers", "How many processes.", {"type": int, "default": 1}),
        ),
    ),
    Command("check", "Check the configuration of webhooks, the store and the inbox.", "receiver:check"),
    Command(
        "send",
        "Send a signed test event to a receiver.",
        "receiver:send",
        (
            _CONNECTION,
            Argument("--url", "The receiver's address, up to before /webhooks.", {"default": None}),
            Argument("--event", f"Its name: {', '.join(EVENTS)}.", {"default": SCREENING_COMPLETED}),
            Argument("--screening-id", "The screening.", {"default": "s67890"}),
            Argument("--candidate-id", "The candidate.", {"default": "c12345"}),
            Argument("--template-id", "The template.", {"default": "t54321"}),
            Argument("--score", "The score.", {"type": float, "default": None}),
        ),
    ),
    Command(
        "events",
        "List the newest events of the inbox, without personal data.",
        "inbox:events",
        (
            _CONNECTION,
            Argument("--event", "Only events of this name.", {"default": None}),
            _SINCE,
            Argument("--limit", "The most events.", {"type": int, "default": 50}),
        ),
    ),
    Command("consumers", "List the consumers of the inbox and how far they have read.", "inbox:consumers"),
    Command(
        "replay",
        "Set a consumer's cursor back, so that it reads events again.",
        "inbox:replay",
        (
            _CONNECTION,
            Argument("--consumer", "The consumer.", {"required": True}),
            _SINCE,
            Argument("--position", "Read again what comes after this position.", {"type": int}),
        ),
    ),
    Command(
        "prune",
        "Delete old events now.",
        "inbox:prune",
        (Argument("--days", "Older than this; by default [pihupulse] inbox_retention_days.", {"type": float}),),
    ),
)
