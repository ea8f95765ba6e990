"""The commands, declared once, for ``python -m pihupulse_provider.webhooks`` and for ``airflow pihupulse``."""

from __future__ import annotations

import math
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from pihupulse_provider.api.clock import read_iso
from pihupulse_provider.api.events import EVENTS, SCREENING_COMPLETED
from pihupulse_provider.connection_form import DEFAULT_CONN_ID

DEFAULT_PORT = 9200
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}/pihupulse"


@dataclass(frozen=True)
class Argument:
    """An option of a command.

    :ivar description: what it means, and what holds without it where there is no default.
    :ivar options: further arguments of argparse's ``add_argument``.
    """

    flag: str
    description: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def help(self) -> str:
        """The description with the default."""
        default = "" if self.options.get("default") is None else " (default: %(default)s)"
        return self.description.removesuffix(".") + default + "."


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
        """Run it as a process that may read Airflow's database, where the UI and the CLI put connections."""
        os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
        module, function = self.implementation.split(":")
        run: Callable[[Namespace], None] = getattr(import_module(f"{__package__}.{module}"), function)
        run(arguments)


def _moment(text: str) -> datetime:
    try:
        return read_iso(text)
    except ValueError:
        raise ArgumentTypeError(f"{text} is not an ISO 8601 time such as 2026-05-31T14:00") from None


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_one = False
    if not is_one:
        raise ArgumentTypeError(f"{text} is not an address such as {DEFAULT_URL}")
    return text


def _number(kind: type[int | float], least: int, most: float = math.inf, why: str = "") -> Callable[[str], int | float]:
    """Return what reads a number within bounds."""

    def read(text: str) -> int | float:
        try:
            number = kind(text)
        except ValueError:
            raise ArgumentTypeError(f"{text} is not a {'whole ' if kind is int else ''}number") from None
        if not least <= number <= most:
            bounds = f"at least {least}" if most == math.inf else f"from {least} to {most}"
            raise ArgumentTypeError(f"must be {bounds}, not {text}{why}")
        return number

    return read


def _since(description: str) -> Argument:
    return Argument("--since", f"{description} ISO 8601, in UTC unless it has an offset.", {"type": _moment})


_CONNECTION = Argument("--connection", "The connection's id.", {"default": DEFAULT_CONN_ID})

COMMANDS = (
    Command(
        "serve",
        "Receive webhooks without an API server.",
        "receiver:serve",
        (
            Argument("--host", "The address to listen on.", {"default": "127.0.0.1"}),
            Argument("--port", "The port to listen on.", {"type": _number(int, 0, 65535), "default": DEFAULT_PORT}),
            Argument("--workers", "The number of processes.", {"type": _number(int, 1), "default": 1}),
        ),
    ),
    Command(
        "check",
        "Check from this machine that settings, connections, PihuPulse and the store fit together.",
        "check:check",
        (
            Argument(
                "--connection",
                f"The connection's id; all of webhook_connections, or else {DEFAULT_CONN_ID}, if left out.",
            ),
        ),
    ),
    Command(
        "send",
        "Send a signed test event to a receiver.",
        "receiver:send",
        (
            _CONNECTION,
            Argument("--url", "The receiver's address up to /webhooks", {"type": _address, "default": DEFAULT_URL}),
            Argument("--event", "The event's name.", {"choices": EVENTS, "default": SCREENING_COMPLETED}),
            Argument("--screening-id", "The screening in the event.", {"default": "s67890"}),
            Argument("--candidate-id", "The candidate in the event.", {"default": "c12345"}),
            Argument("--template-id", "The template in the event.", {"default": "t54321"}),
            Argument("--score", "The score in the event; none if left out.", {"type": float}),
        ),
    ),
    Command(
        "events",
        "List the newest events of the inbox, without personal data.",
        "store:events",
        (
            _CONNECTION,
            Argument("--event", f"Only events of this name, such as {SCREENING_COMPLETED}; all if left out."),
            _since("Only events received since this time; all if left out."),
            Argument("--limit", "The most events to list.", {"type": _number(int, 1, 2**53), "default": 50}),
        ),
    ),
    Command("consumers", "List the consumers of the inbox and how far each has read.", "store:consumers"),
    Command(
        "replay",
        "Set a consumer's cursor back, so that it reads events again.",
        "store:replay",
        (
            _CONNECTION,
            Argument("--consumer", "The consumer's name; the command consumers lists them.", {"required": True}),
            _since("Read again what was received since this time."),
            Argument("--position", "Read again what comes after this position.", {"type": _number(int, 0, 2**53)}),
        ),
    ),
    Command(
        "prune",
        "Delete old events now.",
        "store:prune",
        (
            Argument(
                "--days",
                "Delete events older than this many days; [pihupulse] inbox_retention_days if left out.",
                {"type": _number(float, 0)},
            ),
        ),
    ),
    Command(
        "forget",
        "Delete what the store knows of old creates; a task that is cleared later looks for what it created.",
        "store:forget",
        (
            Argument(
                "--days",
                "Forget imports and creates that last sent something more than this many days ago.",
                {
                    "type": _number(float, 1, why=": a task that is still at work needs what is known of it"),
                    "required": True,
                },
            ),
        ),
    ),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name; ``serve`` if they name none."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    names_none = not given or given[0].startswith("-")
    if names_none and not {"-h", "--help"}.intersection(given):
        given.insert(0, "serve")
    parsed = _parser().parse_args(given)
    parsed.command.run(parsed)


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m pihupulse_provider.webhooks", description="Webhooks of PihuPulse.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        sub_parser = commands.add_parser(command.name, help=command.help, description=command.help)
        sub_parser.set_defaults(command=command)
        for argument in command.arguments:
            sub_parser.add_argument(argument.flag, help=argument.help, **argument.options)
    return parser


def get_commands() -> list[Any]:
    """Return ``airflow pihupulse`` and its commands, as Airflow takes them from a provider (3.2)."""
    from airflow.cli import cli_config
    from rich.markup import escape  # Airflow takes help for markup

    arg: Any = cli_config.Arg
    actions: list[Any] = []
    for command in COMMANDS:
        arguments = tuple(arg((one.flag,), help=escape(one.help), **one.options) for one in command.arguments)
        actions.append(cli_config.ActionCommand(command.name, escape(command.help), command.run, arguments))
    help_text = "Receive, list and replay webhooks of PihuPulse"
    return [cli_config.GroupCommand(name="pihupulse", help=help_text, subcommands=actions)]
