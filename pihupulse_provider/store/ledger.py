"""What was asked of PihuPulse and what came of it: an intent before each create, its id after.

Personal data is kept as keyed hashes only: without the account's API key they say nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pihupulse_provider.api import clock
from pihupulse_provider.api.account import Account
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.api.events import is_name
from pihupulse_provider.store.engine import Store, metadata
from pihupulse_provider.store.job_run import Run, next_owner

jobs_table = sa.Table(
    "pihupulse_jobs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.String(32), nullable=False),
    sa.Column("name", sa.String(1000), nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("owner", sa.String(16), nullable=False),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("marked_at", sa.Float),
    sa.Column("service_ahead", sa.Float),
    sa.Index("pihupulse_jobs_name", "account", "name", unique=True),
)
"""One row for each job: a single create, or an import.

``marked_at`` is when it last marked anything; ``service_ahead`` how many seconds the service's clock was ahead of
the store's then, NULL where no response had said it: lists are searched by the service's, as the store's may be set."""

creates_table = sa.Table(
    "pihupulse_creates",
    metadata,
    sa.Column("job", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("item", sa.LargeBinary(16), primary_key=True),
    sa.Column("key", sa.LargeBinary(16), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("object_id", sa.String(255)),
    sa.Column("service_ahead", sa.Float),
    sa.Index("pihupulse_creates_object", "object_id"),
)
"""One row for each object that may have been created: its identity within the job, its natural key, when, its id.

``service_ahead`` is to ``at`` what it is to a job's ``marked_at``. An id that no column can take, for its length or its
characters, is not kept, so that a later try looks for the object."""

_NEW_JOB = sa.text(
    "INSERT INTO pihupulse_jobs (account, name, started_at, owner, fingerprint) "
    "VALUES (:account, :name, :at, '', :fingerprint) ON CONFLICT (account, name) DO NOTHING"
)
_MOVE_ON = sa.text("UPDATE pihupulse_jobs SET marked_at = :at, service_ahead = :service_ahead WHERE id = :job")
_PUT = (
    "INSERT INTO pihupulse_creates (job, item, key, at, object_id, service_ahead) "
    "VALUES (:job, :item, :key, :at, :object_id, :service_ahead) ON CONFLICT (job, item) "
    "DO UPDATE SET at = excluded.at, object_id = excluded.object_id, service_ahead = excluded.service_ahead"
)
_PUT_CREATE = sa.text(_PUT)
_CONFIRM_CREATE = sa.text(f"{_PUT} WHERE pihupulse_creates.object_id IS NULL")
_DATE_CREATE = sa.text(
    "UPDATE pihupulse_creates SET at = :at, service_ahead = :service_ahead "
    "WHERE job = :job AND item = :item AND object_id IS NULL AND service_ahead IS NULL"
)
_CHUNK = 500


class JobTakenOverError(PihuPulseError):
    """A newer run of the same job has begun, or may have, so this one must not create anything more."""

    def __init__(self, why: str = "A newer run of this task has taken over its creates") -> None:
        super().__init__(f"{why}; this one stops here. Nothing is lost: the other run, or a retry, continues.")


class Mark(NamedTuple):
    """An object that is about to be created, or has been.

    :ivar item: what identifies it within its job. ``key``: its natural key. ``object_id``: the id that PihuPulse gave
        it, once known. ``at``: when it was about to be sent, and once it has an id, by when it was there (epoch seconds
        of this process's clock). ``service_time``: the same by the service's clock; None where no response had said it.
    """

    item: bytes
    key: bytes
    at: float
    object_id: str | None = None
    service_time: float | None = None


@dataclass(frozen=True)
class Job:
    """A job as the ledger has it; times are epoch seconds of this process's clock.

    :ivar is_new: whether the ledger did not know it before. ``owner``: the run that holds it. ``fingerprint``: what it
        reads. ``marked_at``: when it last marked anything; None when it never did. ``marked_service_time``: the same by
        the service's clock, where a response had said it.
    """

    id: int
    is_new: bool
    owner: str
    marked_at: float | None = None
    fingerprint: str | None = None
    marked_service_time: float | None = None


class Ledger:
    """The creates of one account.

    The store keeps all times by its own clock, for all processes to share. They are converted to this process's clock,
    and back, here and nowhere else, by how far the two are apart in the same transaction.

    :param store: where they are kept. Every method raises :class:`StoreError` when it can't be reached.
    :param account: whose they are; its key also keys the hashes.
    :ivar store: the same. ``now``: this process's clock, in epoch seconds.
    """

    def __init__(self, store: Store, account: Account, clock: Callable[[], float] = clock.now) -> None:
        self.store = store
        self._account = account.key
        self._hash_key = sha256(account.api_key.encode()).digest()
        self.now = clock

    def skew(self, connection: Connection) -> float:
        """Return how many seconds the store's clock is ahead of this process's."""
        return self.store.now(connection) - self.now()

    def digest(self, *parts: str | bool | None) -> bytes:
        """Return the keyed hash (16 bytes) of some values."""
        return blake2b(json.dumps(parts).encode(), digest_size=16, key=self._hash_key).digest()

    def open(self, name: str, fingerprint: str | None = None, *, run: Run | None = None) -> Job:
        """Return the job of that name and take it: whoever took it before can't mark any more.

        :param run: what takes it; None for one that begins now and does not try again.
        :raises JobTakenOverError: if the run comes late, and one that began after it has the job.
        """
        run = run or Run(self.now())
        is_late, run.is_late = run.is_late, True
        with self.store.begin() as connection:
            skew = self.skew(connection)
            started_at = skew + (run.began_at if is_late else self.now())
            wanted = {"account": self._account, "name": name}
            connection.execute(_NEW_JOB, {**wanted, "at": started_at, "fingerprint": fingerprint})
            found = connection.execute(sa.select(jobs_table).filter_by(**wanted).with_for_update()).one()
            if not run.holds(found.owner):
                owner = next_owner(found.owner, started_at, is_late=is_late)
                if owner is None:
                    raise JobTakenOverError
                run.owner, run.is_first = owner, not found.owner
                connection.execute(sa.update(jobs_table).filter_by(id=found.id).values(owner=run.owner))
        return Job(
            found.id,
            is_new=run.is_first,
            owner=run.owner,
            marked_at=_sum(found.marked_at, -skew),
            fingerprint=found.fingerprint,
            marked_service_time=_sum(found.marked_at, found.service_ahead),
        )

    def adopt_source(self, job: Job, fingerprint: str | None) -> None:
        """Set the source of a job that has marked nothing yet."""
        with self.store.begin() as connection:
            connection.execute(sa.update(jobs_table).filter_by(id=job.id).values(fingerprint=fingerprint))

    def find(self, job: Job, items: Sequence[bytes]) -> list[Mark]:
        """Return what is known of these items of the job."""
        return self._read(sa.select(creates_table).filter_by(job=job.id), creates_table.c.item, items)

    def marks(self, job: Job) -> Iterator[Mark]:
        """Return everything the job has marked, in chunks, so that its number does not matter."""
        after: bytes | None = b""
        while after is not None:
            with self.store.read() as connection:
                skew = self.skew(connection)
                query = sa.select(creates_table).filter_by(job=job.id).where(creates_table.c.item > after)
                rows = connection.execute(query.order_by(creates_table.c.item).limit(_CHUNK)).all()
            yield from (_mark(row, skew) for row in rows)
            after = rows[-1].item if len(rows) == _CHUNK else None

    def mark(
        self, job: Job, items: Sequence[tuple[bytes, bytes]], service_time: Callable[[float], float] | None = None
    ) -> float:
        """Record that these items, each with its natural key, are about to be created, and return as of when.

        At that moment, which is in the same transaction, this run had the job.

        :param service_time: returns what the service's clock said at a moment of this process's, once that is known.
        :raises JobTakenOverError: if another run has taken the job.
        """
        with self.store.begin() as connection:
            skew = self._hold(connection, job)
            at = self.now()
            by_service = service_time(at) if service_time is not None else None
            marks = [Mark(*item, at, None, by_service) for item in items]
            self._put(connection, job, marks, marks[-1], skew)
        return at

    def date(self, job: Job, marks: Sequence[Mark]) -> None:
        """Record what the service's clock said when these were marked, which was not known then."""
        with self.store.begin(durable=False) as connection:
            skew = self.skew(connection)
            connection.execute(_DATE_CREATE, _in_order(job, marks, skew))
            ahead = _values(job, marks[-1], skew)["service_ahead"]
            undated = sa.update(jobs_table).filter_by(id=job.id, owner=job.owner, service_ahead=None)
            connection.execute(undated.values(service_ahead=ahead))

    def catch_up(self, job: Job, marks: Sequence[Mark], latest: Mark | None) -> None:
        """Record what was done while the store was away, or a part of it.

        :param latest: with the last part, the latest mark of all: from it on a later try looks for what has none.
        :raises JobTakenOverError: if another run has taken the job; it then learns of what has an id all the same.
        """
        self.confirm(job, [mark for mark in marks if mark.object_id is not None])
        with self.store.begin() as connection:
            self._put(connection, job, marks, latest, self._hold(connection, job))

    def confirm(self, job: Job, marks: Sequence[Mark]) -> None:
        """Record the ids of what was created, also where another run has the job by now.

        It need not be durable: an id that is lost is looked up again. An id that is known already stays.
        """
        with self.store.begin(durable=False) as connection:
            if values := _in_order(job, filter(keeps_id, marks), self.skew(connection)):
                connection.execute(_CONFIRM_CREATE, values)

    def claims(self, object_ids: Sequence[str], besides: Job | None = None) -> list[Mark]:
        """Return the marks of the account that have these ids, but for those of one job."""
        is_other = sa.and_(jobs_table.c.account == self._account, jobs_table.c.id != (besides.id if besides else 0))
        others = sa.select(creates_table).join(jobs_table, jobs_table.c.id == creates_table.c.job).where(is_other)
        return self._read(others, creates_table.c.object_id, [one for one in object_ids if is_name(one)])

    def _read(self, query: sa.sql.Select[Any], column: sa.Column[Any], values: Sequence[Any]) -> list[Mark]:
        """Return the marks where a column has one of some values."""
        chunks = (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
        with self.store.read() as connection:
            skew = self.skew(connection)
            return [_mark(row, skew) for some in chunks for row in connection.execute(query.where(column.in_(some)))]

    def _hold(self, connection: Connection, job: Job) -> float:
        """Lock the job, and return the skew as of then."""
        held = sa.select(jobs_table.c.id).filter_by(id=job.id, owner=job.owner)
        if connection.execute(held.with_for_update()).first() is None:
            raise JobTakenOverError
        return self.skew(connection)

    def _put(self, connection: Connection, job: Job, marks: Sequence[Mark], latest: Mark | None, skew: float) -> None:
        if latest is not None:
            connection.execute(_MOVE_ON, _values(job, latest, skew))
        connection.execute(_PUT_CREATE, _in_order(job, map(_keepable, marks), skew))


def _mark(row: Any, skew: float) -> Mark:
    return Mark(row.item, row.key, row.at - skew, row.object_id, _sum(row.at, row.service_ahead))


def keeps_id(mark: Mark) -> bool:
    """Return whether the ledger keeps the mark's id, if it has one."""
    return mark.object_id is not None and is_name(mark.object_id)


def _keepable(mark: Mark) -> Mark:
    """Return a mark that a column can take: of an object without an id nobody knows since when to look for it."""
    return mark if mark.object_id is None or keeps_id(mark) else Mark(mark.item, mark.key, 0.0)


def _sum(at: float | None, ahead: float | None) -> float | None:
    return at + ahead if at is not None and ahead is not None else None


def _in_order(job: Job, marks: Iterable[Mark], skew: float) -> list[dict[str, Any]]:
    """Return rows in the one order in which all runs lock them, so that no two wait for each other."""
    return [_values(job, mark, skew) for mark in sorted(marks, key=lambda mark: mark.item)]


def _values(job: Job, mark: Mark, skew: float) -> dict[str, Any]:
    return {
        "job": job.id,
        "item": mark.item,
        "key": mark.key,
        "at": mark.at + skew,
        "object_id": mark.object_id,
        "service_ahead": mark.service_time - mark.at - skew if mark.service_time is not None else None,
    }
