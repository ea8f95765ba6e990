"""Where each consumer of the inbox stands, and which stretch each of its readers was given.

A reader commits once its work is done. When it comes again, as a task that is retried or cleared does, it is given the
same stretch again: nothing is lost between the commit and the end of the task, and nothing is given to two readers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pihupulse_provider.api.errors import ConfigurationError, PihuPulseError
from pihupulse_provider.api.events import LONGEST, is_name
from pihupulse_provider.store.engine import Store, insert_once, metadata
from pihupulse_provider.store.inbox import POSITION

cursors_table = sa.Table(
    "pihupulse_cursors",
    metadata,
    sa.Column("connection", sa.String(LONGEST), primary_key=True),
    sa.Column("consumer", sa.String(LONGEST), primary_key=True),
    sa.Column("position", POSITION, nullable=False),
    sa.Column("moved_at", sa.Float(53), nullable=False),
)
reads_table = sa.Table(
    "pihupulse_reads",
    metadata,
    sa.Column("connection", sa.String(LONGEST), primary_key=True),
    sa.Column("consumer", sa.String(LONGEST), primary_key=True),
    sa.Column("reader", sa.String(64), primary_key=True),
    sa.Column("start_position", POSITION, nullable=False),
    sa.Column("end_position", POSITION, nullable=False),
    sa.Column("read_at", sa.Float(53), nullable=False, index=True),
)


class CursorMovedError(PihuPulseError):
    """Somebody else moved the consumer's cursor since it was read: what was read may be theirs."""


@dataclass(frozen=True)
class Stretch:
    """The positions past ``start`` up to ``end``; ``end`` is None while nobody has committed them."""

    start: int
    end: int | None = None


@dataclass(frozen=True)
class CursorState:
    """A consumer's cursor; ``moved_at`` is in epoch seconds."""

    connection: str
    consumer: str
    position: int
    moved_at: float


def check_consumer(name: object) -> None:
    """Check the name of a consumer. :raises ConfigurationError: if it can't be stored, or is empty."""
    if not (isinstance(name, str) and name.strip() and is_name(name)):
        raise ConfigurationError(
            f"consumer is {name!r:.40}: it must be a name of 1 to {LONGEST} printable characters, one for each DAG."
        )


class Cursor:
    """A consumer's place in the inbox of one connection.

    :raises ConfigurationError: if the consumer's name can't be one.
    """

    def __init__(self, store: Store, connection: str, consumer: str) -> None:
        check_consumer(consumer)
        self._store = store
        self._key = {"connection": connection, "consumer": consumer}

    def position(self, default: int = 0) -> int:
        """Return the position up to which the consumer has read; a new consumer begins at ``default``."""
        with self._store.read() as connection:
            position = self._known_position(connection)
        if position is not None:
            return position
        with self._store.begin() as connection:
            return self._position(connection, default)

    def stretch(self, reader: str, default: int = 0) -> Stretch:
        """Return what a reader is to read: the stretch that it committed before, or all that comes next."""
        with self._store.read() as connection:
            committed = self._committed(connection, reader)
        return committed or Stretch(self.position(default))

    def commit(self, start: int, end: int, reader: str | None = None) -> None:
        """Move from ``start`` to ``end``, and remember the stretch for the reader.

        Two tries of a reader may commit the same stretch, which is one and the same to both. Without a reader the
        cursor may be at ``end`` already, as after a commit of which nothing was heard.

        :raises CursorMovedError: if the cursor is not at ``start`` any more, or the reader was given another stretch.
        """
        with self._store.begin() as connection:
            now = self._store.now(connection)
            move = sa.update(cursors_table).filter_by(**self._key, position=start)
            moved = connection.execute(move.values(position=end, moved_at=now))
            given = self._committed(connection, reader) if reader is not None else None
            is_done = self._known_position(connection) == end if reader is None else given == Stretch(start, end)
            if is_done:
                return
            if moved.rowcount != 1 or given is not None:
                raise CursorMovedError(
                    f"The cursor of the consumer {self._key['consumer']!r} was moved while its events were read. Use "
                    "a consumer for each DAG, and let one run at a time read (max_active_runs=1); a retry reads on "
                    "from where the cursor is now."
                )
            if reader is not None:
                stretch = {"start_position": start, "end_position": end, "read_at": now}
                connection.execute(sa.insert(reads_table).values(**self._key, reader=_digest(reader), **stretch))

    def seek(self, position: int) -> None:
        """Set the cursor, back for a replay or forward to skip; readers forget what they were given past it."""
        with self._store.begin() as connection:
            self._position(connection, position)
            move = sa.update(cursors_table).filter_by(**self._key)
            connection.execute(move.values(position=position, moved_at=self._store.now(connection)))
            # Once the cursor is locked, so that what a reader commits meanwhile is forgotten too.
            reads = sa.delete(reads_table).filter_by(**self._key)
            connection.execute(reads.where(reads_table.c.end_position > position))

    def _committed(self, connection: Connection, reader: str) -> Stretch | None:
        columns = reads_table.c
        query = sa.select(columns.start_position, columns.end_position)
        committed = connection.execute(query.filter_by(**self._key, reader=_digest(reader))).first()
        return Stretch(*committed) if committed else None

    def _position(self, connection: Connection, default: int) -> int:
        """Return where the cursor is, after making it if need be."""
        position = self._known_position(connection)
        if position is not None:
            return position
        values = {**self._key, "position": default, "moved_at": self._store.now(connection)}
        insert_once(connection, cursors_table, values)
        return self._known_position(connection) or 0

    def _known_position(self, connection: Connection) -> int | None:
        query = sa.select(cursors_table.c.position).filter_by(**self._key)
        position: int | None = connection.execute(query).scalar()
        return position


def list_cursors(store: Store) -> list[CursorState]:
    """Return all consumers' cursors."""
    with store.read() as connection:
        return read_cursors(connection)


def read_cursors(connection: Connection, most: int | None = None) -> list[CursorState]:
    """Return consumers' cursors, at most so many; None for all."""
    columns = cursors_table.c
    query = sa.select(columns.connection, columns.consumer, columns.position, columns.moved_at)
    query = query.order_by(columns.connection, columns.consumer)
    return [CursorState(*row) for row in connection.execute(query.limit(most))]


def forget_reads(store: Store, before: float) -> int:
    """Forget what readers were given before that time (epoch seconds); return how many they were."""
    with store.begin() as connection:
        return connection.execute(sa.delete(reads_table).where(reads_table.c.read_at < before)).rowcount


def _digest(reader: str) -> str:
    return hashlib.sha256(reader.encode()).hexdigest()
