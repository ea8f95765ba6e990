"""The command that looks at everything that has to fit together: settings, connections, PihuPulse, the store."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator

from pihupulse_provider.api import Client, RetryPolicy
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.api.logs import counted
from pihupulse_provider.cli.output import command, logged_from
from pihupulse_provider.cli.receiver import connection_secrets, reading
from pihupulse_provider.connection_form import DEFAULT_CONN_ID
from pihupulse_provider.hooks import settings
from pihupulse_provider.hooks.connection import read_account
from pihupulse_provider.hooks.webhooks import find_connection, retention, webhook_connections
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
    if not named:
        yield OK, "[pihupulse] webhook_connections is empty: no webhooks are received"
    yield from _guarded(_of_retention)
    yield from _guarded(_of_store)
    for one in [connection_id] if connection_id else named or [DEFAULT_CONN_ID]:
        for kind, finding in _of_connection(one, receives=one in named):
            yield kind, f"connection {one}: {finding}"


def _of_retention() -> list[Finding]:
    retention()
    return []


def _of_store() -> Iterator[Finding]:
    inbox = Inbox(settings.store())
    inbox.check()
    yield OK, f"store {inbox.store}: {counted(inbox.head(), 'event')} received so far"
    yield from ((WARNING, problem) for problem in settings.store_problems(inbox.store))


def _of_connection(connection_id: str, *, receives: bool) -> list[Finding]:
    """Return what is found of a connection; what is wrong with it can stand in the way of several looks, but once."""
    looks = (_of_service, _of_webhooks) if receives else (_of_service,)
    return list(dict.fromkeys(finding for look in looks for finding in _guarded(look, connection_id)))


def _guarded(look: Callable[..., Iterable[Finding]], *arguments: str) -> Iterator[Finding]:
    try:
        yield from look(*arguments)
    except PihuPulseError as error:
        yield NOT_OK, str(error)


def _of_service(connection_id: str) -> Iterator[Finding]:
    with reading(connection_id):
        account = read_account(find_connection(connection_id))
    limit = shared_rate_limit(settings.store(), account.key, account.plan)
    with Client(account, limit=limit, retry=RetryPolicy(attempts=1, limited_attempts=0)) as client:
        client.list_templates()
    yield OK, f"PihuPulse allows {limit.plan.requests_per_minute:g} requests a minute"
    yield from ((WARNING, problem) for problem in limit.disagreements.found.values())


def _of_webhooks(connection_id: str) -> Iterator[Finding]:
    yield OK, counted(len(connection_secrets(connection_id)), "webhook secret")
    if not Inbox(settings.store()).newest(EventFilter(connection=connection_id), limit=1):
        missing = (
            "None of its webhooks is in this store. If PihuPulse has sent one, the receiver has another [pihupulse] "
            "store_url."
        )
        yield WARNING, missing
