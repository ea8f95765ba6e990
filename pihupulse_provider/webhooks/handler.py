"""Handles one delivery: bounds it, checks its signature, parses it and stores it; and counts what came of all.

The counts are logged now and then: a line for each request would let forgers fill the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum

from pihupulse_provider.api.events import EventError, WebhookEvent
from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.store.inbox import Delivery
from pihupulse_provider.webhooks.group_commit import GroupCommit, InboxBusyError
from pihupulse_provider.webhooks.http import (
    DisconnectedError,
    Receive,
    Scope,
    TooLargeError,
    TooSlowError,
    header_values,
    read_body,
)
from pihupulse_provider.webhooks.signature import (
    SIGNATURE_HEADER,
    SecretCache,
    SecretsUnavailableError,
    is_well_formed,
    verify,
)

LARGEST_BODY = 64 * 1024
"""Bytes; PihuPulse's events have a few hundred (API reference, "Webhook Payload")."""
BODY_SECONDS = 10.0
_COUNTED_SECONDS = 10.0
MOST_SUSPECTS = 1024
"""How many deliveries whose signature fits no known secret may wait for the secrets to be read again."""

Report = Callable[[Mapping[str, int]], None]
_log = logging.getLogger(__name__)
_SIGNATURE = SIGNATURE_HEADER.lower().encode()


class Outcome(StrEnum):
    """What came of a request; the value names it in the log and in metrics."""

    STORED = "stored"
    KNOWN = "known"
    BAD_SIGNATURE = "bad_signature"
    NOT_AN_EVENT = "not_an_event"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    UNAVAILABLE = "unavailable"
    NOT_FOUND = "not_found"
    MALFORMED = "malformed"
    TURNED_AWAY = "turned_away"

    @property
    def is_good(self) -> bool:
        """Return whether the event is in the inbox."""
        return self in (Outcome.STORED, Outcome.KNOWN)


_EXPECTED: tuple[tuple[type[Exception], Outcome], ...] = (
    (TooLargeError, Outcome.TOO_LARGE),
    (TooSlowError, Outcome.TOO_SLOW),
    (EventError, Outcome.NOT_AN_EVENT),
    (StoreError, Outcome.UNAVAILABLE),
    (InboxBusyError, Outcome.UNAVAILABLE),
    (SecretsUnavailableError, Outcome.UNAVAILABLE),
)


class Handler:
    """Handles the deliveries of all connections.

    :param secrets: the connections that webhooks are received for, each with its secrets.
    :param commit: stores the deliveries.
    :param body_seconds: how long a sender may take to send the body.
    """

    def __init__(self, secrets: Mapping[str, SecretCache], commit: GroupCommit, body_seconds: float) -> None:
        self._secrets = secrets
        self._commit = commit
        self._body_seconds = body_seconds
        self._suspects = 0
        self._unexpected: set[type[Exception]] = set()

    def knows(self, connection: str) -> bool:
        """Return whether webhooks are received for a connection."""
        return connection in self._secrets

    async def handle(self, connection: str, scope: Scope, receive: Receive) -> Outcome:
        """Return what came of a delivery for a known connection.

        :raises DisconnectedError: if the sender went away.
        """
        try:
            return await self._handle(connection, scope, receive)
        except DisconnectedError:
            raise
        except Exception as error:
            return self._outcome(error)

    async def _handle(self, connection: str, scope: Scope, receive: Receive) -> Outcome:
        signatures = header_values(scope, _SIGNATURE)
        if len(signatures) != 1 or not is_well_formed(signatures[0]):
            return Outcome.BAD_SIGNATURE
        body = await read_body(scope, receive, largest=LARGEST_BODY, seconds=self._body_seconds)
        if not await self._is_signed(connection, body, signatures[0]):
            return Outcome.BAD_SIGNATURE
        is_new = await self._commit.store(Delivery(connection, WebhookEvent.parse(body), body))
        return Outcome.STORED if is_new else Outcome.KNOWN

    async def _is_signed(self, connection: str, body: bytes, signature: str) -> bool:
        secrets = self._secrets[connection]
        arrived = secrets.now()
        if verify(body, signature, await secrets.current()):
            return True
        if self._suspects >= MOST_SUSPECTS:
            raise SecretsUnavailableError(connection)
        self._suspects += 1
        try:
            return verify(body, signature, await secrets.newer_than(arrived))
        finally:
            self._suspects -= 1

    def _outcome(self, error: Exception) -> Outcome:
        for kind, outcome in _EXPECTED:
            if isinstance(error, kind):
                return outcome
        if type(error) not in self._unexpected:
            # Its message may hold some of the body.
            _log.error("A delivery can't be handled, and is to be sent again: %s", type(error).__name__)
            self._unexpected.add(type(error))
        return Outcome.UNAVAILABLE


class Counters:
    """Counts outcomes, and logs and reports them ten seconds after the first of them.

    :param report: takes the counts, for metrics.
    """

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._counts: Counter[Outcome] = Counter()

    def count(self, outcome: Outcome) -> None:
        """Count one request."""
        if not self._counts:
            asyncio.get_running_loop().call_later(_COUNTED_SECONDS, self.flush)
        self._counts[outcome] += 1

    def flush(self) -> None:
        """Log and report what was counted since the last time."""
        if not self._counts:
            return
        counts = {outcome.value: count for outcome, count in sorted(self._counts.items())}
        level = logging.INFO if all(outcome.is_good for outcome in self._counts) else logging.WARNING
        self._counts.clear()
        _log.log(level, "webhooks %s", " ".join(f"{name}={count}" for name, count in counts.items()))
        if self._report is not None:
            self._report(counts)
