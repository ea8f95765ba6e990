"""The options of ``python -m pihupulse_provider.sandbox``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter, ValidationError

from pihupulse_provider.sandbox.account import Order
from pihupulse_provider.sandbox.data import Template
from pihupulse_provider.sandbox.faults import Fault, Kind
from pihupulse_provider.sandbox.limits import PLANS, Reading, ResetMeaning
from pihupulse_provider.sandbox.settings import Settings
from pihupulse_provider.sandbox.validation import problems_of


def settings_from(arguments: Sequence[str] | None) -> Settings:
    """Return the settings that the arguments ask for, or exit with a usage message."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    options["faults"] = tuple(options.get("faults", ()))
    try:
        return Settings(**options, unique_ids=True)
    except ValidationError as error:
        parser.error(problems_of(error))


def fault_from(text: str) -> Fault:
    """Return the fault written like ``drop,after_commit,method=POST,probability=0.1``."""
    kind, *rest = text.split(",")
    options = {name: value or "yes" for name, _, value in (part.partition("=") for part in rest)}
    try:
        return TypeAdapter(Fault).validate_python({"kind": kind, **options})
    except ValidationError as error:
        raise argparse.ArgumentTypeError(problems_of(error)) from None


def templates_from(path: str) -> tuple[Template, ...]:
    """Return the templates in a JSON file: a list of objects as ``GET /templates`` shows them."""
    try:
        return TypeAdapter(tuple[Template, ...]).validate_json(Path(path).read_bytes())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path} can't be read: {error.strerror}") from None
    except ValidationError as error:
        raise argparse.ArgumentTypeError(f"{path} has no list of templates: {problems_of(error)}") from None


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m pihupulse_provider.sandbox",
        description="A local PihuPulse with every documented endpoint, limit and error. It has no real people.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--host", default=defaults.host, help="address to listen on")
    add("--port", type=int, default=defaults.port, help="port to listen on, 0 for a free one")
    add("--api-key", default=defaults.api_key, help="the key that is accepted")
    _add_data(parser, defaults)
    _add_limits(parser)
    _add_pace(parser, defaults)
    _add_webhooks(parser, defaults)
    add(
        "--fault",
        dest="faults",
        type=fault_from,
        action="append",
        metavar="FAULT",
        help=(
            f"what goes wrong, may be repeated: one of {', '.join(get_args(Kind))}, then any of times=, probability=, "
            "method=, path=, status=, seconds=, retry_after=, after_commit, separated by commas (default: nothing)"
        ),
    )
    return parser


def _add_data(parser: argparse.ArgumentParser, defaults: Settings) -> None:
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        metavar="FILE",
        help="JSON Lines file that keeps everything over restarts (default: none, in memory)",
    )
    add("--seed", type=int, default=defaults.seed, help="decides names, scores and chances")
    add("--order", choices=get_args(Order), default=defaults.order, help="order of the lists")
    add("--candidates", type=int, default=0, metavar="N", help="candidates at the start")
    add(
        "--templates",
        type=templates_from,
        metavar="FILE",
        help="JSON file with a list of templates (default: three built-in ones)",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("rate limit").add_argument
    add("--plan", choices=[*PLANS, "unlimited"], default="starter", help="the plan whose limits hold")
    add("--requests-per-minute", type=int, metavar="N", help="in place of the plan's rate (default: the plan's)")
    add("--burst", type=int, metavar="N", help="in place of the plan's burst (default: the plan's)")
    add("--limit-reading", choices=get_args(Reading), default="bucket", help="how the limit is counted")
    add("--window-burst", action="store_true", help="allow the burst in each window (default: the rate)")
    add(
        "--reset-meaning",
        choices=get_args(ResetMeaning),
        help="what X-RateLimit-Reset means (default: next-slot of a bucket, window-end of a window)",
    )


def _add_pace(parser: argparse.ArgumentParser, defaults: Settings) -> None:
    add = parser.add_argument_group("screenings").add_argument
    add(
        "--start-seconds",
        type=float,
        metavar="S",
        default=defaults.start_seconds,
        help="seconds until a screening starts",
    )
    add(
        "--screening-seconds",
        type=float,
        metavar="S",
        default=defaults.screening_seconds,
        help="seconds from then to its completion",
    )
    add("--spread", type=float, metavar="SHARE", default=defaults.spread, help="share (0 to 1) by which both vary")


def _add_webhooks(parser: argparse.ArgumentParser, defaults: Settings) -> None:
    add = parser.add_argument_group("webhooks").add_argument
    add("--webhook-url", metavar="URL", help="where events are delivered (default: nowhere)")
    add("--webhook-secret", default=defaults.webhook_secret, help="the secret that signs them")
    add("--webhook-loss", type=float, default=0.0, metavar="SHARE", help="share that is never delivered")
    add("--webhook-duplication", type=float, default=0.0, metavar="SHARE", help="share that is delivered twice")
