"""The options of ``python -m pihupulse_provider.sandbox``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter

from pihupulse_provider.sandbox.account import Order
from pihupulse_provider.sandbox.data import Template
from pihupulse_provider.sandbox.faults import Fault, Kind
from pihupulse_provider.sandbox.limits import PLANS, Reading, ResetMeaning
from pihupulse_provider.sandbox.settings import Settings


def settings_from(arguments: Sequence[str] | None) -> Settings:
    """Return the settings that the arguments ask for, or exit with a usage message."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    options["faults"] = tuple(options.get("faults", ()))
    try:
        return Settings(**options)
    except ValueError as error:
        parser.error(str(error))


def fault_from(text: str) -> Fault:
    """Return the fault written like ``drop,after_commit,method=POST,probability=0.1``."""
    kind, *rest = text.split(",")
    options = {name: value or "yes" for name, _, value in (part.partition("=") for part in rest)}
    try:
        return TypeAdapter(Fault).validate_python({"kind": kind, **options})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def templates_from(path: str) -> tuple[Template, ...]:
    """Return the templates in a JSON file: a list of objects as ``GET /templates`` shows them."""
    try:
        rows = json.loads(Path(path).read_text())
        return tuple(Template(**{**row, "skills": tuple(row.get("skills", Template.skills))}) for row in rows)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        msg = f"{path} holds no list of templates: {error}"
        raise argparse.ArgumentTypeError(msg) from None


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
    add("--data", type=Path, metavar="FILE", help="JSON Lines file that keeps everything over restarts")
    add("--seed", type=int, default=defaults.seed, help="decides names, scores and chances")
    add("--order", choices=get_args(Order), default=defaults.order, help="order of the lists")
    add("--candidates", type=int, default=0, metavar="N", help="candidates at the start")
    add("--templates", type=templates_from, metavar="FILE", help="JSON file with a list of templates")
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
            "method=, path=, status=, seconds=, retry_after=, after_commit, separated by commas"
        ),
    )
    return parser


def _add_limits(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("rate limit").add_argument
    add("--plan", choices=[*PLANS, "unlimited"], default="starter", help="whose limits hold")
    add("--requests-per-minute", type=int, metavar="N", help="in place of the plan's rate")
    add("--burst", type=int, metavar="N", help="in place of the plan's burst")
    add("--limit-reading", choices=get_args(Reading), default="bucket", help="how the limit is counted")
    add("--window-burst", action="store_true", help="allow the burst in each window, not the rate")
    add("--reset-meaning", choices=get_args(ResetMeaning), help="what X-RateLimit-Reset tells")


def _add_pace(parser: argparse.ArgumentParser, defaults: Settings) -> None:
    add = parser.add_argument_group("screenings").add_argument
    add("--start-seconds", type=float, default=defaults.start_seconds, help="until a screening starts")
    add("--screening-seconds", type=float, default=defaults.screening_seconds, help="from then to its completion")
    add("--spread", type=float, default=defaults.spread, help="share by which both vary")


def _add_webhooks(parser: argparse.ArgumentParser, defaults: Settings) -> None:
    add = parser.add_argument_group("webhooks").add_argument
    add("--webhook-url", metavar="URL", help="where events are delivered")
    add("--webhook-secret", default=defaults.webhook_secret, help="what signs them")
    add("--webhook-loss", type=float, default=0.0, metavar="SHARE", help="share that is never delivered")
    add("--webhook-duplication", type=float, default=0.0, metavar="SHARE", help="share that is delivered twice")
