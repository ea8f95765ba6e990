"""Puts a receiver together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.inbox import Inbox
from pihupulse_provider.webhooks.counters import Tally
from pihupulse_provider.webhooks.group_commit import GroupWriter
from pihupulse_provider.webhooks.handler import Intake
from pihupulse_provider.webhooks.health import Health
from pihupulse_provider.webhooks.receiver import Receiver
from pihupulse_provider.webhooks.retention import Keeper
from pihupulse_provider.webhooks.secrets import LoadSecrets, SecretCache


def assemble(
    store: Store,
    secrets: Mapping[str, LoadSecrets],
    *,
    retention: float,
    report: Callable[[Mapping[str, int]], None] | None = None,
    prefix: str = "",
) -> Receiver:
    """Return a receiver that stores into the inbox of a store.

    :param secrets: the connections that webhooks are received for, each with what reads its secrets.
    :param retention: seconds for which an event is kept.
    :param report: takes the counts of outcomes every few seconds, for metrics.
    :param prefix: the path before the receiver's own, when it is not mounted under one.
    """
    inbox = Inbox(store)
    caches = {connection: SecretCache(connection, load) for connection, load in secrets.items()}
    writer = GroupWriter(Keeper(inbox, retention).append)
    return Receiver(Intake(caches, writer), Health(inbox.check), Tally(report), prefix=prefix)
