"""The commands for ``python -m pihupulse_provider.webhooks``."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from pihupulse_provider.cli.declared import COMMANDS


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name; without a name, ``serve``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    names = {command.name for command in COMMANDS}
    if not names.intersection(given[:1]) and not {"-h", "--help"}.intersection(given):
        given.insert(0, "serve")
    parsed = _parser().parse_args(given)
    parsed.command.run(parsed)


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m pihupulse_provider.webhooks", description="Webhooks of PihuPulse.")
    commands = parser.add_subparsers(required=True)
    for command in COMMANDS:
        sub_parser = commands.add_parser(command.name, help=command.help, description=command.help)
        sub_parser.set_defaults(command=command)
        for argument in command.arguments:
            sub_parser.add_argument(argument.flag, help=argument.help, **argument.options)
    return parser
