"""What was asked of PihuPulse and what came of it: an intent before each create, its id after.

Personal data is kept as keyed hashes only: without the account's API key they say nothing.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pihupulse_provider.api.account import Account
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.store.engine import Store, metadata

JOBS = sa.Table(
    "pihupulse_jobs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.String(32), nullable=False),
    sa.Column("name", sa.String(1000), nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("owner", sa.String(16), nullable=False),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("marked_at", sa.Float),
    sa.Index("pihupulse_jobs_name", "account", "name", unique=True),
)
"""One row for each job: a single create, or an import. ``marked_at`` is when it last dispatched anything."""

CREATES = sa.Table(
    "pihupulse_creates",
    metadata,
    sa.Column("job", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("item", sa.LargeBinary(16), primary_key=True),
    sa.Column("key", sa.LargeBinary(16), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("object_id", sa.String(255)),
    sa.Index("pihupulse_creates_object", "object_id"),
)
"""One row for each object that may have been created: its identity within the job, its natural key, when, its id."""

_NEW_JOB = sa.text(
    "INSERT INTO pihupulse_jobs (account, name, started_at, owner, fingerprint) "
    "VALUES (:account, :name, :at, '', :fingerprint) ON CONFLICT (account, name) DO NOTHING"
)
_PUT_CREATE = sa.text(
    "INSERT INTO pihupulse_creates (job, item, key, at, object_id) VALUES (:job, :item, :key, :at, :object_id) "
    "ON CONFLICT (job, item) DO UPDATE SET at = excluded.at, object_id = excluded.object_id"
)
_CHUNK = 500


class JobTakenOverError(PihuPulseError):
    """Another run of the same job has begun, so this one must not create anything more."""


@dataclass(frozen=True)
class Mark:
    """An object that is about to be created, or has been.

    :ivar item: what identifies it within its job. ``key``: its natural key. ``at``: epoch seconds of this process's
        clock, before its request. ``object_id``: the id that PihuPulse gave it, once known.
    """

    item: bytes
    key: bytes
    at: float
    object_id: str | None = None


@dataclass(frozen=True)
class Job:
    """A job as the ledger has it; times are epoch seconds of this process's clock.

    :ivar is_new: whether the ledger did not know it before. ``marked_at``: when it last dispatched anything; None
        when it never did. ``fingerprint``: the source it was planned from. ``owner``: the run that holds it.
    """

    id: int
    is_new: bool
    owner: str
    started_at: float
    marked_at: float | None = None
    fingerprint: str | None = None


class Ledger:
    """The creates of one account.

    :param store: where they are kept. Every method raises :class:`StoreError` when it can't be reached.
    :param account: whose they are; its key also keys the hashes.
    :param clock: this process's clock, in epoch seconds. The store keeps times by its own, for all to share.
    """

    def __init__(self, store: Store, account: Account, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._account = account.key
        self._hash_key = sha256(account.api_key.encode()).digest()
        self._clock = clock

    def digest(self, *parts: str | bool | None) -> bytes:
        """Return the keyed hash (16 bytes) of some values."""
        return blake2b(json.dumps(parts).encode(), digest_size=16, key=self._hash_key).digest()

    def open(self, name: str, fingerprint: str | None = None) -> Job:
        """Take the job of that name for this run, as new or as it was left; an earlier run loses it."""
        owner = secrets.token_hex(8)
        with self._store.begin() as connection:
            skew = self._skew(connection)
            values = {"account": self._account, "name": name, "at": self._clock() + skew, "fingerprint": fingerprint}
            connection.execute(_NEW_JOB, values)
            named = sa.and_(JOBS.c.account == self._account, JOBS.c.name == name)
            found = connection.execute(sa.select(JOBS).where(named).with_for_update()).one()
            connection.execute(sa.update(JOBS).where(JOBS.c.id == found.id).values(owner=owner))
        marked_at = found.marked_at - skew if found.marked_at is not None else None
        return Job(found.id, not found.owner, owner, found.started_at - skew, marked_at, found.fingerprint)

    def adopt_source(self, job: Job, fingerprint: str) -> None:
        """Set the source of a job that has dispatched nothing yet."""
        with self._store.begin() as connection:
            connection.execute(sa.update(JOBS).where(JOBS.c.id == job.id).values(fingerprint=fingerprint))

    def find(self, job: Job, item: bytes) -> Mark | None:
        """Return what is known of an item of the job."""
        with self._store.read() as connection:
            skew = self._skew(connection)
            query = sa.select(CREATES).where(CREATES.c.job == job.id, CREATES.c.item == item)
            row = connection.execute(query).first()
        return Mark(row.item, row.key, row.at - skew, row.object_id) if row is not None else None

    def marks(self, job: Job) -> Iterator[Mark]:
        """Return everything the job has dispatched, in chunks, so that its number does not matter."""
        after = b""
        while True:
            with self._store.read() as connection:
                skew = self._skew(connection)
                query = sa.select(CREATES).where(CREATES.c.job == job.id, CREATES.c.item > after)
                rows = connection.execute(query.order_by(CREATES.c.item).limit(_CHUNK)).all()
            for row in rows:
                yield Mark(row.item, row.key, row.at - skew, row.object_id)
            if len(rows) < _CHUNK:
                return
            after = rows[-1].item

    def dispatch(self, job: Job, marks: Sequence[Mark]) -> None:
        """Record that these are about to be created, or update what is known of them.

        :raises JobTakenOverError: if another run has taken the job.
        """
        with self._store.begin() as connection:
            skew = self._skew(connection)
            held = sa.and_(JOBS.c.id == job.id, JOBS.c.owner == job.owner)
            marked_at = max(mark.at for mark in marks) + skew
            if not connection.execute(sa.update(JOBS).where(held).values(marked_at=marked_at)).rowcount:
                raise JobTakenOverError(
                    "Another run of this task has taken over its creates; this one stops here. Nothing is lost: "
                    "the other run continues from the same ledger."
                )
            connection.execute(_PUT_CREATE, [_values(job, mark, skew) for mark in marks])

    def confirm(self, job: Job, marks: Sequence[Mark]) -> None:
        """Record the ids of what was created. It need not be durable: an id that is lost is looked up again."""
        with self._store.begin(durable=False) as connection:
            skew = self._skew(connection)
            connection.execute(_PUT_CREATE, [_values(job, mark, skew) for mark in marks])

    def claimed(self, object_ids: Sequence[str], *, besides: tuple[Job, bytes] | None = None) -> set[str]:
        """Return which of these ids the account's ledger knows as created by anything but the given item."""
        claimed: set[str] = set()
        with self._store.read() as connection:
            for start in range(0, len(object_ids), _CHUNK):
                query = (
                    sa.select(CREATES.c.object_id)
                    .join(JOBS, JOBS.c.id == CREATES.c.job)
                    .where(JOBS.c.account == self._account)
                    .where(CREATES.c.object_id.in_(object_ids[start : start + _CHUNK]))
                )
                if besides is not None:
                    job, item = besides
                    query = query.where(sa.or_(CREATES.c.job != job.id, CREATES.c.item != item))
                claimed.update(connection.execute(query).scalars())
        return claimed

    def _skew(self, connection: Connection) -> float:
        return self._store.now(connection) - self._clock()


def _values(job: Job, mark: Mark, skew: float) -> dict[str, Any]:
    return {
        "job": job.id,
        "item": mark.item,
        "key": mark.key,
        "at": mark.at + skew,
        "object_id": mark.object_id,
    }
