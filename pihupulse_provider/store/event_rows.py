"""The tables of the inbox, and what is read from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from pihupulse_provider.api.events import LONGEST, WebhookEvent
from pihupulse_provider.store.engine import metadata

POSITION = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_SUBJECTS = ("screening_id", "candidate_id", "template_id")

events_table = sa.Table(
    "pihupulse_events",
    metadata,
    sa.Column("position", POSITION, primary_key=True, autoincrement=False),
    sa.Column("connection", sa.String(LONGEST), nullable=False),
    sa.Column("event", sa.String(LONGEST), nullable=False),
    sa.Column("identity", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("received_at", sa.Float(53), nullable=False, index=True),
    sa.Column("screening_id", sa.String(LONGEST), index=True),
    sa.Column("candidate_id", sa.String(LONGEST)),
    sa.Column("template_id", sa.String(LONGEST)),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
head_table = sa.Table(
    "pihupulse_inbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", POSITION, nullable=False),
)


@dataclass(frozen=True)
class InboxEvent:
    """A stored event.

    :ivar position: where it stands; later events have greater ones.
    :ivar received_at: when it was stored, in epoch seconds.
    """

    position: int
    connection: str
    received_at: float
    body: bytes = field(repr=False)

    @cached_property
    def event(self) -> WebhookEvent:
        """Return the event in the body."""
        return WebhookEvent.parse(self.body)

    def public(self) -> dict[str, Any]:
        """Return the event as plain JSON values, with its position and when it was stored, and nothing personal."""
        received_at = datetime.fromtimestamp(self.received_at, UTC).isoformat(timespec="milliseconds")
        return {"position": self.position, "received_at": received_at, **self.event.public()}

    def document(self) -> dict[str, Any]:
        """Return the same with ``data``, all that PihuPulse sent, which can be personal."""
        return {**self.public(), "data": dict(self.event.data)}


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted; None and an empty tuple mean any.

    :ivar connection: the connection that they came in for.
    :ivar since: the earliest time of storage, in epoch seconds.
    """

    connection: str | None = None
    events: tuple[str, ...] = ()
    screening_id: str | None = None
    candidate_id: str | None = None
    template_id: str | None = None
    since: float | None = None

    def clauses(self) -> list[sa.sql.ColumnElement[bool]]:
        """Return the conditions on :data:`events_table`."""
        columns = events_table.c
        wanted = {name: getattr(self, name) for name in ("connection", *_SUBJECTS)}
        clauses = [columns[name] == value for name, value in wanted.items() if value is not None]
        if self.events:
            clauses.append(columns.event.in_(self.events))
        if self.since is not None:
            clauses.append(columns.received_at >= self.since)
        return clauses

    def matches(self, entry: InboxEvent) -> bool:
        """Return whether a stored event is wanted, as :meth:`clauses` say it to the database."""
        named = {"connection": entry.connection, **{name: getattr(entry.event, name) for name in _SUBJECTS}}
        wanted = {name: getattr(self, name) for name in named}
        return (
            all(value is None or named[name] == value for name, value in wanted.items())
            and (not self.events or entry.event.event in self.events)
            and (self.since is None or entry.received_at >= self.since)
        )


def insert_once(connection: Connection, table: sa.Table, values: Mapping[str, Any]) -> None:
    """Insert a row unless its key is there already, be it from another process a moment ago."""
    try:
        with connection.begin_nested():
            connection.execute(sa.insert(table).values(**values))
    except IntegrityError:
        return
