"""The webhook receiver as Airflow's configuration and connections say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal, cast, get_args

from airflow.sdk.log import mask_secret

from pihupulse_provider.api.errors import ConfigurationError, check_choice
from pihupulse_provider.hooks import settings
from pihupulse_provider.hooks.pihupulse import PihuPulseHook

# A DAG file imports this module too, and has no need of a receiver: it comes with first use.
if TYPE_CHECKING:
    from pihupulse_provider.hooks.connection import AirflowConnection
    from pihupulse_provider.waiting.shared_poller import Updates
    from pihupulse_provider.webhooks.polling import Poller
    from pihupulse_provider.webhooks.receiver import Receiver

EventSource = Literal["webhooks", "polling"]
"""Where events come from: webhooks that were received, or lists that are polled where no webhook can come in."""
Start = Literal["earliest", "latest"]
"""Where a new consumer of events begins: with the first event that is still kept, or after the last."""


def check_reading(source: str, start: str = "earliest") -> None:
    """Check how events are to be read. :raises ConfigurationError: saying which values there are."""
    check_choice("source", source, get_args(EventSource))
    check_choice("start", start, get_args(Start))


def webhook_connections() -> list[str]:
    """Return the connections of ``[pihupulse] webhook_connections``."""
    named = settings.option("webhook_connections")
    return [name.strip() for name in named.split(",") if name.strip()]


def why_none_is_received(connection_id: str) -> str | None:
    """Return in a sentence that the settings of here have no webhooks of a connection received; None if they do."""
    if connection_id in webhook_connections():
        return None
    return (
        f"[pihupulse] webhook_connections does not name {connection_id} here. If it does not where the receiver "
        'runs either, no webhook comes, and this is in vain: add it, or set source="polling".'
    )


def retention() -> float:
    """Return ``[pihupulse] inbox_retention_days`` in seconds; 30 days when it is not set.

    :raises ConfigurationError: if it is not a positive number.
    """
    text = settings.option("inbox_retention_days")
    try:
        days = float(text or 30)
    except ValueError:
        raise ConfigurationError(
            f"[pihupulse] inbox_retention_days is {text!r}: it must be a number, such as 30."
        ) from None
    if not days > 0:
        raise ConfigurationError(f"[pihupulse] inbox_retention_days is {days:g}: it must be more than 0.")
    return days * 86400


def read_secrets(connection_id: str) -> list[str]:
    """Return a connection's webhook secrets.

    :raises ConfigurationError: if there is no such connection, or it has no secret that can be used.
    """
    from pihupulse_provider.hooks.connection import read_extras

    secrets = read_extras(find_connection(connection_id)).webhook_secrets()
    if not secrets:
        raise ConfigurationError(
            f"Connection {connection_id!r} has no webhook_secret: copy it from the dashboard (Settings → Webhooks) "
            'into the connection\'s extra "webhook_secret".'
        )
    for secret in secrets:
        mask_secret(secret)
    return secrets


def find_connection(connection_id: str) -> AirflowConnection:
    """Return a connection from wherever it was made: the UI, the command line, the environment, a secrets backend.

    Airflow's servers look there too. Anything else, as the receiver by itself is, would not find what was made in the
    UI; and what is away for a moment would look like a connection that was deleted.

    :raises ConfigurationError: if there is no such connection.
    :raises Exception: what the secrets backend raised that could not be asked.
    """
    from airflow.configuration import ensure_secrets_loaded

    failures: list[Exception] = []
    for backend in ensure_secrets_loaded():
        try:
            found = backend.get_connection(connection_id)
        except Exception as error:
            if not _is_database_unused(backend):
                failures.append(error)
            continue
        if found is not None:
            return cast("AirflowConnection", found)
    if failures:
        raise failures[0]
    raise ConfigurationError(
        f"There is no connection {connection_id}: add it in Airflow's UI, with airflow connections add, as an "
        "environment variable or in the secrets backend."
    )


def _is_database_unused(backend: object) -> bool:
    """Return whether it asks Airflow's database where there is none, as beside a receiver by itself."""
    from airflow import settings as airflow_settings
    from airflow.secrets.metastore import MetastoreBackend
    from sqlalchemy import inspect

    if not isinstance(backend, MetastoreBackend):
        return False
    try:
        return not inspect(airflow_settings.engine).has_table("connection")
    except Exception:
        return False


def screening_updates(connection_id: str) -> Updates | None:
    """Return the webhooks of a connection as updates for the shared poller; None if none are received for it."""
    if connection_id not in webhook_connections():
        return None
    from pihupulse_provider.waiting.inbox_tail import completed_screenings, shared_tail

    return lambda: completed_screenings(shared_tail(settings.store()), connection_id)


def poller(hook: PihuPulseHook) -> Poller:
    """Return what derives a connection's events from polling."""
    from pihupulse_provider.store.inbox import Inbox
    from pihupulse_provider.webhooks.polling import Poller

    return Poller(Inbox(hook.store), hook.get_conn(), hook.pihupulse_conn_id, retention=retention())


def receiver(*, report: Callable[[Mapping[str, int]], None] | None = None, prefix: str = "") -> Receiver:
    """Return a receiver for the connections of ``[pihupulse] webhook_connections``.

    :param report: takes the counts of outcomes every few seconds, for metrics.
    :param prefix: the path before the receiver's own, when it is not mounted under one.
    :raises ConfigurationError: if the configuration can't work.
    """
    from pihupulse_provider.webhooks.receiver import Receiver

    secrets = {connection: partial(read_secrets, connection) for connection in webhook_connections()}
    return Receiver(settings.store(), secrets, retention=retention(), report=report, prefix=prefix)
