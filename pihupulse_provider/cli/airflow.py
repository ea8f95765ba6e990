"""The commands as Airflow takes them from a provider (3.2)."""

from __future__ import annotations

from typing import Any

from pihupulse_provider.cli.declared import COMMANDS, Argument, Command


def get_commands() -> list[Any]:
    """Return ``airflow pihupulse`` and its commands."""
    from airflow.cli.cli_config import GroupCommand

    help_text = "Receive, list and replay webhooks of PihuPulse"
    return [GroupCommand(name="pihupulse", help=help_text, subcommands=[_action(command) for command in COMMANDS])]


def _action(command: Command) -> Any:
    from airflow.cli.cli_config import ActionCommand

    arguments = tuple(_argument(argument) for argument in command.arguments)
    return ActionCommand(name=command.name, help=command.help, func=command.run, args=arguments)


def _argument(argument: Argument) -> Any:
    from airflow.cli import cli_config

    arg: Any = cli_config.Arg
    return arg((argument.flag,), help=argument.help, **argument.options)
