"""Commands on the ledger."""

from __future__ import annotations

from argparse import Namespace

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.api.logs import counted
from pihupulse_provider.cli.output import command
from pihupulse_provider.hooks import settings
from pihupulse_provider.store.forgetting import forget_jobs

_FEWEST_DAYS = 1.0


@command
def forget(arguments: Namespace) -> None:
    """Delete what is known of jobs that sent nothing in the days given."""
    if not arguments.days >= _FEWEST_DAYS:
        raise ConfigurationError("--days must be at least 1: a task that is still at work needs what is known of it.")
    store = settings.store()
    with store.read() as connection:
        now = store.now(connection)
    forgotten = forget_jobs(store, now - arguments.days * 86400)
    print(
        f"Forgot {counted(forgotten.creates, 'create')} of {counted(forgotten.jobs, 'job')}, which sent nothing in the "
        f"last {counted(arguments.days, 'day')}."
    )
