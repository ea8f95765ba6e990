"""How far each candidate and screening was seen to have come, for events that are derived from lists."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pihupulse_provider.api.events import LONGEST, is_name
from pihupulse_provider.store.engine import Store, insert_once, metadata

progress_table = sa.Table(
    "pihupulse_progress",
    metadata,
    sa.Column("connection", sa.String(LONGEST), primary_key=True),
    sa.Column("account", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("subject", sa.String(LONGEST), primary_key=True),
    sa.Column("stage", sa.Integer, nullable=False),
)
readings_table = sa.Table(
    "pihupulse_sweeps",
    metadata,
    sa.Column("connection", sa.String(LONGEST), primary_key=True),
    sa.Column("account", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("begun_at", sa.Float(53), nullable=False),  # when the last reading ended; ahead while one goes on
    sa.Column("told_since", sa.Float(53)),
    sa.Column("wanted_since", sa.Float(53)),
)

_LEASE = 60.0
"""Seconds that a page may take: then the reading counts as given up, as that of a process that was killed."""


class Reach(NamedTuple):
    """From when on events are reported and wanted.

    :ivar reported: whole readings reported all from then on, in epoch seconds; None before the first.
    :ivar wanted: the earliest that a reader asked for, in epoch seconds; None if none did.
    """

    reported: float | None
    wanted: float | None


class EventWatermarks:
    """What is known of one list of a connection.

    :param account: the account's key: with another one, the connection begins anew.
    :param kind: the list: ``candidates`` or ``screenings``.
    """

    def __init__(self, store: Store, connection: str, account: str, kind: str) -> None:
        self._store = store
        self._key = {"connection": connection, "account": account, "kind": kind}

    def claim(self, every: float, since: float | None = None) -> bool:
        """Claim the next reading, and return whether it is due; whoever claims it ends it.

        It is not due while another goes on, nor within ``every`` seconds of the end of the last, even if that failed: a
        thousand waits must not all ask a service that is away. With 0 it always is.

        :param since: from when on the next reading, whoever makes it, is to report events (epoch seconds).
        """
        columns = readings_table.c
        query = sa.select(columns.begun_at, columns.wanted_since).filter_by(**self._key)
        with self._store.read() as connection:
            known = connection.execute(query).first()
            now = self._store.now(connection)
        # What is asked often, and is so seldom, does not keep writers from SQLite's one lock.
        if known is not None and every and now - every < known.begun_at <= now + _LEASE:
            is_wanted = since is None or (known.wanted_since is not None and known.wanted_since <= since)
            if is_wanted:
                return False
        with self._store.begin() as connection:
            if known is None:
                insert_once(connection, readings_table, {**self._key, "begun_at": 0.0})
            self._lower(connection, columns.wanted_since, since)
            now = self._store.now(connection)
            # What lasts longer than a lease was said before the clock was set back.
            is_due = sa.or_(columns.begun_at <= now - every, columns.begun_at > now + _LEASE) if every else sa.true()
            due = sa.update(readings_table).filter_by(**self._key).where(is_due)
            return connection.execute(due.values(begun_at=now + _LEASE)).rowcount == 1

    def is_being_read(self) -> bool:
        """Return whether somebody is at a reading."""
        query = sa.select(readings_table.c.begun_at).filter_by(**self._key)
        with self._store.read() as connection:
            now = self._store.now(connection)
            return now < (connection.execute(query).scalar() or 0.0) <= now + _LEASE

    def end(self) -> None:
        """Say that a reading has ended before the list's end."""
        with self._store.begin() as connection:
            self._hold(connection, 0.0)

    def reach(self) -> Reach:
        """Return from when on events are reported and wanted; after a claim."""
        with self._store.read() as connection:
            columns = (readings_table.c.told_since, readings_table.c.wanted_since)
            return Reach(*connection.execute(sa.select(*columns).filter_by(**self._key)).one())

    def begin(self, since: float) -> None:
        """Say that the first reading reports the events from that time (epoch seconds) on.

        Those that begin before it has ended, or because it never does, are to report as many.
        """
        with self._store.begin() as connection:
            self._lower(connection, readings_table.c.wanted_since, since)

    def reported(self, since: float) -> None:
        """Say that a reading has ended, and that it reported all events from that time (epoch seconds) on."""
        with self._store.begin() as connection:
            self._hold(connection, 0.0)
            self._lower(connection, readings_table.c.told_since, since)

    def stages(self, subjects: Iterable[str]) -> dict[str, int]:
        """Return the last stage of each subject that is known."""
        names = {subject: _storable(subject) for subject in subjects}
        with self._store.read() as connection:
            known = self._stages(connection, names.values())
        return {subject: known[name] for subject, name in names.items() if name in known}

    def advance(self, stages: Mapping[str, int]) -> None:
        """Remember the stages on a page that was read; none goes back, even if two readings overlap."""
        stages = {_storable(subject): stage for subject, stage in stages.items()}
        this = sa.update(progress_table).filter_by(**self._key, subject=sa.bindparam("one"))
        with self._store.begin() as connection:
            self._hold(connection, _LEASE)
            known = self._stages(connection, stages)
            fresh = [{**self._key, "subject": one, "stage": stage} for one, stage in stages.items() if one not in known]
            further = [{"one": one, "now": stage} for one, stage in stages.items() if stage > known.get(one, stage)]
            if fresh:
                connection.execute(sa.insert(progress_table), fresh)
            if further:
                connection.execute(this.values(stage=sa.bindparam("now")), further)

    def _hold(self, connection: Connection, seconds: float) -> None:
        """Have the list count as being read for so long."""
        query = sa.update(readings_table).filter_by(**self._key)
        connection.execute(query.values(begun_at=self._store.now(connection) + seconds))

    def _lower(self, connection: Connection, column: sa.Column[float], since: float | None) -> None:
        if since is not None:
            later = sa.or_(column.is_(None), column > since)
            query = sa.update(readings_table).filter_by(**self._key).where(later)
            connection.execute(query.values({column: since}))

    def _stages(self, connection: Connection, subjects: Iterable[str]) -> dict[str, int]:
        columns = progress_table.c
        query = sa.select(columns.subject, columns.stage).filter_by(**self._key)
        these = query.where(columns.subject.in_(list(subjects)))
        return {row[0]: row[1] for row in connection.execute(these)}


def _storable(subject: str) -> str:
    """Return an id as it is stored: by a hash if its column can't take it, for its length or its characters."""
    if is_name(subject):
        return subject
    return hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
