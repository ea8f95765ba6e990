"""The command that looks at everything that has to fit together: settings, connections, PihuPulse, the store."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Iterator

from pihupulse_provider.api import Client, RetryPolicy
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.api.logs import counted
from pihupulse_provider.cli.output import command, logged_from
from pihupulse_provider.cli.receiver import NONE_NAMED, connection_secrets
from pihupulse_provider.hooks import settings
from pihupulse_provider.hooks.connection import read_account
from pihupulse_provider.hooks.webhooks import find_connection, webhook_connections
from pihupulse_provider.store.inbox import EventFilter, Inbox
from pihupulse_provider.store.limits import shared_rate_limit

Finding = tuple[str, str]
OK, WARNING, NOT_OK = "ok", "warning", "not ok"


@command
def check(arguments: Namespace) -> None:
    """Say of each thing whether it is as it has to be; end with 1 if anything can't work."""
    is_failed = False
    with logged_from(logging.ERROR, "pihupulse_provider"):  # the warnings are printed
        for kind, finding in _findings(arguments.connection):
            print(f"{kind}  {finding}")
            is_failed |= kind == NOT_OK
    if is_failed:
        raise SystemExit(1)


def _findings(connection_id: str | None) -> Iterator[Finding]:
    named = webhook_connections()
    if not named and connection_id is None:
        yield NOT_OK, NONE_NAMED
    yield from _of_store()
    for one in named if connection_id is None else [connection_id]:
        yield from _guarded(_of_service, one)
        if one in named:
            yield from _guarded(_of_webhooks, one)


def _guarded(find: Callable[[str], Iterator[Finding]], connection_id: str) -> Iterator[Finding]:
    try:
        yield from find(connection_id)
    except PihuPulseError as error:
        yield NOT_OK, str(error)


def _of_store() -> Iterator[Finding]:
    try:
        inbox = Inbox(settings.store())
        inbox.check()
        yield OK, f"store {inbox.store}: {counted(inbox.head(), 'event')} received so far"
        yield from ((WARNING, problem) for problem in settings.store_problems(inbox.store))
    except PihuPulseError as error:
        yield NOT_OK, str(error)


def _of_service(connection_id: str) -> Iterator[Finding]:
    account = read_account(find_connection(connection_id))
    limit = shared_rate_limit(settings.store(), account.key, account.plan)
    with Client(account, limit=limit, retry=RetryPolicy(attempts=1, limited_attempts=0)) as client:
        client.list_templates()
    yield OK, f"connection {connection_id}: PihuPulse allows {limit.plan.requests_per_minute:g} requests a minute"
    yield from ((WARNING, problem) for problem in limit.disagreements.found.values())


def _of_webhooks(connection_id: str) -> Iterator[Finding]:
    yield OK, f"connection {connection_id}: {counted(len(connection_secrets(connection_id)), 'webhook secret')}"
    if not Inbox(settings.store()).newest(EventFilter(connection=connection_id), limit=1):
        missing = (
            f"No webhook of the connection {connection_id} is in this store. If PihuPulse has sent one, the receiver "
            "has another [pihupulse] store_url."
        )
        yield WARNING, missing
