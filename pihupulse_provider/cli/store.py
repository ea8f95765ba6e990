"""Commands on the store: on the inbox, and on the ledger."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.api.logs import counted
from pihupulse_provider.cli.output import command, print_table
from pihupulse_provider.hooks import settings
from pihupulse_provider.hooks.webhooks import retention, webhook_connections
from pihupulse_provider.store.cursors import Cursor, list_cursors
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.inbox import EventFilter, Inbox
from pihupulse_provider.store.retention import forget_jobs, prune_before


@command
def events(arguments: Namespace) -> None:
    """Print the newest events, newest last."""
    wanted = EventFilter(
        connection=arguments.connection,
        events=(arguments.event,) if arguments.event else (),
        since=arguments.since.timestamp() if arguments.since else None,
    )
    inbox = Inbox(settings.store())
    found = inbox.newest(wanted, arguments.limit)
    if not found:
        print(_nothing_of(inbox, arguments.connection))
        return
    titles = ("position", "received", "event", "screening", "candidate", "template", "score")
    rows = []
    for entry in found:
        public = entry.event.public()
        named = (public[name] for name in ("event", "screening_id", "candidate_id", "template_id", "score"))
        rows.append((entry.position, _time(entry.received_at), *named))
    print_table(titles, rows)


def _nothing_of(inbox: Inbox, connection_id: str) -> str:
    if inbox.newest(EventFilter(connection=connection_id), limit=1):
        return f"The inbox has events of the connection {connection_id}, but none of those asked for."
    hint = "" if connection_id in webhook_connections() else ", which [pihupulse] webhook_connections does not name"
    return f"The inbox has no event of the connection {connection_id}{hint}."


@command
def consumers(_: Namespace) -> None:
    """Print all cursors and how many events of any kind lie past them."""
    store = settings.store()
    head = Inbox(store).head()
    titles = ("connection", "consumer", "position", "behind", "moved")
    rows = [
        (cursor.connection, cursor.consumer, cursor.position, head - cursor.position, _time(cursor.moved_at))
        for cursor in list_cursors(store)
    ]
    print_table(titles, rows)


@command
def replay(arguments: Namespace) -> None:
    """Set a cursor back to a time or a position."""
    if (arguments.since is None) == (arguments.position is None):
        raise ConfigurationError("Give either --since or --position.")
    store = settings.store()
    known = {(cursor.connection, cursor.consumer) for cursor in list_cursors(store)}
    if (arguments.connection, arguments.consumer) not in known:
        raise ConfigurationError(
            f"Connection {arguments.connection} has no consumer {arguments.consumer}: the command consumers lists them."
        )
    inbox, position = Inbox(store), arguments.position
    if position is None:
        position = inbox.position_at(arguments.since.timestamp())
    elif position > (head := inbox.head()):
        raise ConfigurationError(
            f"--position is {position}, and the newest event is at {head}: the consumer would miss what comes between."
        )
    Cursor(store, arguments.connection, arguments.consumer).seek(position)
    print(f"Consumer {arguments.consumer} continues after position {position}.")


@command
def prune(arguments: Namespace) -> None:
    """Delete what is older than the retention, or than the days given."""
    days = retention() / 86400 if arguments.days is None else arguments.days
    store = settings.store()
    deleted = prune_before(store, _days_ago(store, days))
    print(f"Deleted {counted(deleted, 'event')} older than {counted(days, 'day')}.")


@command
def forget(arguments: Namespace) -> None:
    """Delete what is known of jobs that sent nothing in the days given."""
    store = settings.store()
    forgotten = forget_jobs(store, _days_ago(store, arguments.days))
    print(
        f"Forgot {counted(forgotten.creates, 'create')} of {counted(forgotten.jobs, 'job')}, which sent nothing in the "
        f"last {counted(arguments.days, 'day')}."
    )


def _days_ago(store: Store, days: float) -> float:
    with store.read() as connection:
        return store.now(connection) - days * 86400


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
