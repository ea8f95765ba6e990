"""What tasks are doing at the moment: what each waits for, and how far it is with an import or an export.

It is for people to look at, and nothing depends on it: writing it never fails a task, and a store that is away is left
alone for a while. What a process that was killed left behind expires.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pihupulse_provider.api import clock
from pihupulse_provider.api.events import LONGEST, is_name
from pihupulse_provider.api.logs import OutageLog
from pihupulse_provider.store.engine import Store, StoreError, metadata

log = logging.getLogger(__name__)
Kind = Literal["wait", "import", "export"]
State = Literal["running", "done", "failed"]

GRACE_SECONDS = 600.0
"""How much longer than its next poll a wait is shown that nobody has heard of since."""
STALLED_SECONDS = 120.0
"""After how long an import or export that says nothing is taken to have stopped; it says something every 30 seconds."""
_KEPT_SECONDS = 30 * 86400.0
"""How long imports and exports are remembered."""
_AWAY_SECONDS = 300.0
"""How long a store that failed is left alone."""
_PRUNE_SECONDS = 600.0
_CHUNK = 500

activity_table = sa.Table(
    "pihupulse_activity",
    metadata,
    sa.Column("key", sa.LargeBinary(16), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("connection", sa.String(LONGEST), nullable=False),
    sa.Column("dag_id", sa.String(LONGEST), nullable=False),
    sa.Column("run_id", sa.String(LONGEST), nullable=False),
    sa.Column("task_id", sa.String(LONGEST), nullable=False),
    sa.Column("map_index", sa.Integer, nullable=False),
    sa.Column("try_number", sa.Integer, nullable=False),
    sa.Column("what", sa.String(LONGEST), nullable=False),
    sa.Column("subject", sa.String(LONGEST)),
    sa.Column("total", sa.Integer),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("started_at", sa.Float(53), nullable=False),
    sa.Column("updated_at", sa.Float(53), nullable=False),
    sa.Column("next_at", sa.Float(53)),
    sa.Column("expires_at", sa.Float(53), nullable=False),
    sa.Index("pihupulse_activity_newest", "kind", "started_at"),
    sa.Index("pihupulse_activity_subject", "subject"),
    sa.Index("pihupulse_activity_dag", "dag_id"),
    sa.Index("pihupulse_activity_expires", "expires_at"),
)
_COLUMNS = [column.name for column in activity_table.columns]
_PUT = sa.text(
    f"INSERT INTO pihupulse_activity ({', '.join(_COLUMNS)}) VALUES ({', '.join(':' + name for name in _COLUMNS)}) "  # noqa: S608
    f"ON CONFLICT (key) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"
)


class TaskRef(NamedTuple):
    """One try of a task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    @classmethod
    def of(cls, instance: Any) -> TaskRef | None:
        """Return it of Airflow's own task instance, whichever of its classes that is; None of None."""
        if instance is None:
            return None
        number = instance.map_index
        return cls(
            instance.dag_id,
            instance.run_id,
            instance.task_id,
            -1 if number is None else number,
            instance.try_number,
        )

    def key(self) -> bytes:
        """Return what identifies the task instance, whatever its try."""
        parts = "\0".join((self.dag_id, self.run_id, self.task_id, str(self.map_index)))
        return hashlib.blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True)
class Activity:
    """What a task is doing; times are epoch seconds.

    :ivar what: what it waits for, or what it moves, such as ``screenings``, ``report.generated`` or ``candidates``.
    :ivar subject: the id that it waits for, where it is one. :ivar total: how many there are; None if not known.
    :ivar done: how many of them are done. :ivar failed: how many failed or were rejected.
    :ivar next_at: when it polls next; None if it is notified.
    """

    task: TaskRef
    kind: Kind
    connection: str
    what: str
    started_at: float
    subject: str | None = None
    total: int | None = None
    done: int = 0
    failed: int = 0
    next_at: float | None = None
    state: State = "running"


class ActivityLog:
    """Writes what tasks are doing; no method raises because of the store.

    :param now: this process's clock; what is stored is by the store's.
    """

    def __init__(self, store: Store, now: Callable[[], float] = clock.now) -> None:
        self._store = store
        self._now = now
        self._away_until = 0.0
        self._prune_at = 0.0
        self._outage = OutageLog(log, logging.INFO)
        self._lock = threading.Lock()

    def put(self, activities: Sequence[Activity]) -> None:
        """Store what these tasks are doing now, in place of what they did before."""
        if activities:
            self._write(lambda connection: self._put(connection, activities))

    def end(self, tasks: Sequence[TaskRef]) -> None:
        """Forget these tasks, unless a later try of them is at work by now."""
        table = activity_table.c
        mine = sa.delete(activity_table).where(
            table.key == sa.bindparam("of_key"), table.try_number == sa.bindparam("of_try")
        )
        if tasks:
            values = [{"of_key": task.key(), "of_try": task.try_number} for task in tasks]
            self._write(lambda connection: connection.execute(mine, values))

    def _put(self, connection: Connection, activities: Sequence[Activity]) -> None:
        now = self._store.now(connection)
        skew = now - self._now()
        # In one order for all processes: else PostgreSQL ends one of two that write the same rows.
        values = sorted((_values(one, now, skew) for one in activities), key=itemgetter("key"))
        for start in range(0, len(values), _CHUNK):
            connection.execute(_PUT, values[start : start + _CHUNK])
        if self._now() >= self._prune_at:
            self._prune_at = self._now() + _PRUNE_SECONDS
            connection.execute(sa.delete(activity_table).where(activity_table.c.expires_at < now))

    def _write(self, write: Callable[[Connection], Any]) -> None:
        with self._lock:
            if self._now() < self._away_until:
                return
            try:
                with self._store.begin(durable=False) as connection:
                    write(connection)
            except StoreError as error:
                self._away_until = self._now() + _AWAY_SECONDS
                self._outage.failed("What this task does is not shown on the PihuPulse page for now: %s", error)
            else:
                self._outage.recovered("What this task does is shown on the PihuPulse page again.")


def _values(one: Activity, now: float, skew: float) -> dict[str, Any]:
    next_at = None if one.next_at is None else one.next_at + skew
    if one.kind == "wait":
        expires_at = max(now, now if next_at is None else next_at) + GRACE_SECONDS
    else:
        expires_at = now + _KEPT_SECONDS
    return {
        **one.task._asdict(),
        "key": one.task.key(),
        "kind": one.kind,
        "state": one.state,
        "connection": one.connection,
        "what": one.what[:LONGEST],
        "subject": one.subject if one.subject and is_name(one.subject) else None,
        "total": one.total,
        "done": one.done,
        "failed": one.failed,
        "started_at": one.started_at + skew,
        "updated_at": now,
        "next_at": next_at,
        "expires_at": expires_at,
    }
