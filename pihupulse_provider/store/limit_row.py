"""The row that holds an account's rate limit: read together with its lock, and written together with the commit.

All processes wait for this row, so what counts is for how long each keeps it. On PostgreSQL that is one round trip, as
two messages make a transaction, whatever the driver and whatever pooler is in between:

    ========================================================== ==========================
    message                                                    on the server
    ========================================================== ==========================
    ``BEGIN``, its time limits, ``SELECT`` … ``FOR UPDATE``    waits for the row, locks it
    (the response travels, the state is changed here)          locked, for 5 seconds at most
    ``UPDATE``, ``COMMIT``                                     locked until the commit
    ========================================================== ==========================

The commit does not wait for the disk. A server that crashes may forget the last half second or so of the limit, and
gives the slots of that time out again: PihuPulse then refuses a few requests, which are sent again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pihupulse_provider.api.events import LONGEST
from pihupulse_provider.api.rate_limit import LimitState, Plan
from pihupulse_provider.store.engine import Store, metadata
from pihupulse_provider.store.postgresql import time_limits

_RENAMED = {"advertised": "told", "consecutive_429s": "strikes", "voided": "pauses", "contention": "crowding"}
_STORED_NAMES = {
    field.name: _RENAMED.get(field.name, field.name)
    for field in fields(LimitState)
    if field.name not in ("cap", "reserved_at")
}
"""How the state is written: in the words of version 1.0.0, which may run beside this one during an upgrade. It begins
anew where it finds a name that it does not know, or misses one, so what was added since has a column of its own."""

limits_table = sa.Table(
    "pihupulse_limits",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reserved_at", sa.Float(53)),
)
accounts_table = sa.Table(
    "pihupulse_accounts",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("connection", sa.String(LONGEST), primary_key=True),
)
"""By which connections each account is known, for people to read: an account's key tells nobody anything."""
# The time is outside of what locks the row: inside, it would be read before the row is waited for.
_LOCK = """
    SELECT state, reserved_at, extract(epoch FROM clock_timestamp())
    FROM (SELECT state, reserved_at FROM pihupulse_limits WHERE account = %(account)s FOR UPDATE) AS locked
    """
_INSERT = """
    INSERT INTO pihupulse_limits (account, state, reserved_at) VALUES (%(account)s, %(state)s, %(reserved_at)s)
    ON CONFLICT (account) DO NOTHING; COMMIT
    """
_UPDATE = """
    UPDATE pihupulse_limits SET state = %(state)s, reserved_at = %(reserved_at)s WHERE account = %(account)s; COMMIT
    """


@dataclass
class LockedLimit:
    """A limit that nobody else changes meanwhile.

    :ivar state: what it is; whoever holds it replaces it by what it becomes.
    :ivar now: when the lock was got, on the store's clock.
    """

    state: LimitState
    now: float


def locked_limit(store: Store, account: str, cap: Plan | None) -> AbstractContextManager[LockedLimit]:
    """Hold the row of an account, which is made if it is not there, and write the state that it is left with.

    :param cap: the plan of this process, which is not stored.
    :raises StoreError: if the store can't be reached or written.
    """
    locked = _locked_on_sqlite if store.is_sqlite else _locked_on_postgresql
    return locked(store, account, cap)


@contextmanager
def _locked_on_sqlite(store: Store, account: str, cap: Plan | None) -> Iterator[LockedLimit]:
    with store.begin(durable=False) as connection:
        row = connection.execute(sa.select(limits_table).filter_by(account=account)).one_or_none()
        if row is None:
            connection.execute(limits_table.insert().values(account=account, **_dump(LimitState())))
        stored = _load(row.state, row.reserved_at, cap) if row else LimitState(cap=cap)
        limit = LockedLimit(stored, store.now(connection))
        yield limit
        if limit.state != stored:
            connection.execute(limits_table.update().filter_by(account=account).values(**_dump(limit.state)))


@contextmanager
def _locked_on_postgresql(store: Store, account: str, cap: Plan | None) -> Iterator[LockedLimit]:
    key = {"account": account}
    lock = f"BEGIN; SET LOCAL synchronous_commit TO off; {time_limits()}; {_LOCK}"
    with store.messages() as send:
        row = send(lock, key)
        if row is None:
            send(_INSERT, {**key, **_dump(LimitState())})
            row = send(lock, key)
        text, reserved_at, now = row
        stored = _load(text, reserved_at, cap)
        limit = LockedLimit(stored, float(now))
        yield limit
        if limit.state == stored:
            send("COMMIT", {})
        else:
            send(_UPDATE, {**key, **_dump(limit.state)})


def read_states(connection: Connection, most: int) -> list[tuple[str, LimitState]]:
    """Return accounts, at most so many, and what the store has of their limits."""
    query = sa.select(limits_table).order_by(limits_table.c.account).limit(most)
    return [(row.account, _load(row.state, row.reserved_at, None)) for row in connection.execute(query)]


def _dump(state: LimitState) -> dict[str, Any]:
    """Return a state as the columns that hold it, without its cap: that is each process's own."""
    written = {stored: getattr(state, name) for name, stored in _STORED_NAMES.items()}
    return {"state": json.dumps(written), "reserved_at": state.reserved_at}


def _load(text: str, reserved_at: float | None, cap: Plan | None) -> LimitState:
    """Read a state; one that is not written as this version and 1.0.0 do counts as none."""
    written = json.loads(text)
    if not isinstance(written, dict) or written.keys() != set(_STORED_NAMES.values()):
        return LimitState(cap=cap)
    values = {name: written[stored] for name, stored in _STORED_NAMES.items()}
    advertised = values.pop("advertised")
    plan = Plan(*advertised) if advertised else None
    return LimitState(advertised=plan, cap=cap, reserved_at=reserved_at or 0.0, **values)
