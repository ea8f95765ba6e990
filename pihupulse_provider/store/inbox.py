"""The inbox: webhook events in the order in which they were committed.

A position is given out under a lock that is held until the commit, so that positions become visible in their order:
a reader that has seen position 7 never meets a 6 later, however many processes write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pihupulse_provider.api.events import LONGEST, WebhookEvent, carried
from pihupulse_provider.store.deleting import delete_in_turns
from pihupulse_provider.store.direct_append import EventRow
from pihupulse_provider.store.engine import Store, metadata

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
    sa.Index("pihupulse_events_candidate", "candidate_id", "position"),
    sa.Index("pihupulse_events_template", "template_id", "position"),
)
head_table = sa.Table(
    "pihupulse_inbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", POSITION, nullable=False),
)


_ENTRIES = sa.select(
    events_table.c.position, events_table.c.connection, events_table.c.received_at, events_table.c.body
)
PAGE = 1000
"""How many events are read in one transaction."""


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
        return {**self.public(), "data": carried(self.event.data)}


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

    @property
    def is_of_few(self) -> bool:
        """Return whether it is about one screening or candidate, to whose few events an index leads."""
        return self.screening_id is not None or self.candidate_id is not None

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


@dataclass(frozen=True)
class Delivery:
    """An event to be stored: the connection that it came in for, what it says, and its raw body."""

    connection: str
    event: WebhookEvent
    body: bytes = field(repr=False)

    def row(self) -> EventRow:
        """Return what is stored of it; its identity, by which a second copy is known, is a SHA-256 over all three."""
        event = self.event
        body = hashlib.sha256(self.body).digest()
        identity = hashlib.sha256(f"{self.connection}\n{event.event}\n".encode() + body).digest()
        ids = event.screening_id, event.candidate_id, event.template_id
        return EventRow(self.connection, event.event, identity, *ids, self.body)


@dataclass(frozen=True)
class Batch:
    """A stretch of the inbox: its events that were wanted, and the position up to which it was looked through."""

    events: list[InboxEvent]
    end: int


class Inbox:
    """The webhook events in a store; any number of processes may write and read at once.

    The times of events are the store's, whichever process stored them.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def append(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """Store deliveries durably in one transaction, and return for each whether it was new.

        :raises StoreError: if the store can't be written; then none of them is stored.
        """
        if not deliveries:
            return []
        rows = [delivery.row() for delivery in deliveries]
        new = self.store.append_events(rows)
        return [_take(new, row.identity) for row in rows]

    def head(self) -> int:
        """Return the position of the newest event; 0 before the first."""
        with self.store.read() as connection:
            return read_head(connection)

    def read(self, wanted: EventFilter, *, after: int = 0, until: int | None = None, limit: int = PAGE) -> Batch:
        """Return the first events past a position, oldest first.

        With fewer than ``limit`` of them, the batch ends at the newest event of all, wanted or not, so that a reader
        moves past what it did not want; or at ``until``, the last position to look at.
        """
        position = events_table.c.position
        with self.store.read() as connection:
            last = read_head(connection) if until is None else until
            if wanted.since is not None and not wanted.is_of_few and self.store.is_sqlite:
                # SQLite would walk through all before them: PostgreSQL knows better.
                first = _first_since(connection, wanted.since)
                after = max(after, last if first is None else first - 1)
            stretch = _ENTRIES.where(position > after, position <= last, *wanted.clauses())
            found = _entries(connection, stretch.order_by(position).limit(limit))
        return Batch(found, found[-1].position if len(found) == limit else last)

    def read_all(
        self, wanted: EventFilter, *, after: int = 0, until: int | None = None, limit: int | None = None
    ) -> Batch:
        """Return all events past a position, as :meth:`read` does, a page at a time so that writers get their turn."""
        events: list[InboxEvent] = []
        end = after
        while True:
            size = PAGE if limit is None else min(PAGE, limit - len(events))
            batch = self.read(wanted, after=end, until=until, limit=size)
            events += batch.events
            end = batch.end
            if len(batch.events) < size or len(events) == limit:
                return Batch(events, end)

    def newest(self, wanted: EventFilter, limit: int) -> list[InboxEvent]:
        """Return the last events, oldest first."""
        newest_first = _ENTRIES.where(*wanted.clauses()).order_by(events_table.c.position.desc()).limit(limit)
        with self.store.read() as connection:
            return _entries(connection, newest_first)[::-1]

    def at(self, position: int) -> InboxEvent | None:
        """Return the event at a position; None if there is none, or none any more."""
        with self.store.read() as connection:
            found = _entries(connection, _ENTRIES.where(events_table.c.position == position))
        return found[0] if found else None

    def position_at(self, moment: float) -> int:
        """Return the position just before the first event that was stored at ``moment`` (epoch seconds) or later."""
        with self.store.read() as connection:
            first = _first_since(connection, moment)
            return first - 1 if first is not None else read_head(connection)

    def position_before(self, seconds: float) -> int:
        """Return the position just before what was stored in the last so many seconds, by the store's clock."""
        with self.store.read() as connection:
            now = self.store.now(connection)
        return self.position_at(now - seconds)

    def prune(self, before: float) -> int:
        """Delete the events that were stored before that time (epoch seconds), and return how many.

        Positions are never given out again, so cursors stay right.
        """
        columns = events_table.c
        return delete_in_turns(
            self.store, columns.position, [columns.received_at < before], [columns.received_at, columns.position]
        )

    def check(self) -> None:
        """Write to the store without changing anything.

        :raises StoreError: if it can't be written, or lacks a table.
        """
        self.store.check_space()
        no_event = sa.select(*events_table.c).where(sa.false())
        with self.store.begin() as connection:
            connection.execute(sa.update(head_table).values(position=head_table.c.position))
            connection.execute(sa.insert(events_table).from_select(list(events_table.c), no_event))


def _entries(connection: Connection, query: sa.sql.Select[Any]) -> list[InboxEvent]:
    return [InboxEvent(row[0], row[1], row[2], bytes(row[3])) for row in connection.execute(query)]


def read_head(connection: Connection) -> int:
    """Return the position of the newest event; 0 before the first."""
    position: int | None = connection.execute(sa.select(head_table.c.position)).scalar()
    return position or 0


def _first_since(connection: Connection, moment: float) -> int | None:
    """Return the first position of what was stored at ``moment`` (epoch seconds) or later; None if nothing was.

    The sum has the database go by the index of the times. For the least of a key it would walk through the positions
    in their order, nearly all of them for a moment that is near.
    """
    columns = events_table.c
    first = sa.select(sa.func.min(columns.position + 0)).where(columns.received_at >= moment)
    position: int | None = connection.execute(first).scalar()
    return position


def _take(new: set[bytes], identity: bytes) -> bool:
    """Return whether it is new, once: of two copies in one call the first is new, the second known."""
    is_new = identity in new
    new.discard(identity)
    return is_new
