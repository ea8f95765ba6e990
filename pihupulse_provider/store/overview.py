"""What the PihuPulse page shows of the store; read only, bounded by limits, and without personal data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pihupulse_provider.api.rate_limit import Plan
from pihupulse_provider.store.activity import activity_table
from pihupulse_provider.store.cursors import read_cursors
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.inbox import events_table, read_head
from pihupulse_provider.store.limit_row import accounts_table, read_states

_MOST_ACCOUNTS = 100
_MOST_CONSUMERS = 200
_MOST_NAMES = 1000
_STRETCH = 200_000
"""How many deliveries one search looks through: with an index for each id, storing them was a quarter slower."""

Allow = Callable[[set[str]], Collection[str]]
"""Returns which of some DAG ids a person may see."""


@dataclass(frozen=True)
class Wanted:
    """What a person looks for; None means anything.

    :ivar text: an id of a screening, candidate or template, an event's name, or a DAG's id.
    :ivar page: which page of tasks, from 1. :ivar before: only deliveries before that position.
    """

    text: str | None = None
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    page: int = 1
    before: int | None = None

    @property
    def is_of_task(self) -> bool:
        """Return whether only tasks are looked for."""
        return any((self.dag_id, self.run_id, self.task_id))


class Tasks(NamedTuple):
    """A page of what tasks do, newest first; ``total`` is of all pages."""

    rows: list[Any]
    total: int


class Deliveries(NamedTuple):
    """A page of deliveries, newest first.

    :ivar before: begins the next page; None if there is none. :ivar is_searched_further: whether the search has only
        looked through some of the deliveries, and goes on there.
    """

    rows: list[Any]
    before: int | None
    is_searched_further: bool = False


class AccountUse(NamedTuple):
    """How much of an account's limit is in use.

    :ivar plan: as PihuPulse advertised it, otherwise Starter. :ivar is_plan_known: whether PihuPulse has advertised it.
    :ivar in_use: requests of its burst. :ivar paused_seconds: for how long nobody sends because of a 429.
    """

    account: str
    connections: list[str]
    plan: Plan
    is_plan_known: bool
    in_use: float
    paused_seconds: float


class Consumer(NamedTuple):
    """A consumer; ``behind`` is how many deliveries, of all connections, came since its cursor."""

    connection: str
    consumer: str
    behind: int
    moved_at: float


class Overview:
    """Reads what the page shows, all as of one moment.

    :param allow: whose tasks may be seen.
    """

    def __init__(self, connection: Connection, now: float, allow: Allow) -> None:
        self._connection = connection
        self.now = now
        self._allow = allow

    def accounts(self) -> list[AccountUse]:
        """Return the accounts and what of their limits is in use."""
        states = read_states(self._connection, _MOST_ACCOUNTS)
        names = self._names([account for account, _ in states])
        return [
            AccountUse(
                account,
                names.get(account, []),
                state.plan,
                state.advertised is not None,
                min(state.plan.burst, max(0.0, state.full_at - self.now) / state.plan.interval),
                max(0.0, state.paused_until - self.now),
            )
            for account, state in states
        ]

    def _names(self, accounts: Sequence[str]) -> dict[str, list[str]]:
        table = accounts_table.c
        query = sa.select(accounts_table).where(table.account.in_(accounts)).order_by(table.connection)
        names: dict[str, list[str]] = {}
        for row in self._connection.execute(query.limit(_MOST_NAMES)):
            names.setdefault(row.account, []).append(row.connection)
        return names

    def tasks(self, kinds: Collection[str], wanted: Wanted, size: int) -> Tasks:
        """Return a page of what tasks wait for (``wait``) or move (``import``, ``export``)."""
        table = activity_table.c
        of_task = {name: getattr(wanted, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
        narrowing = [table[name] == value for name, value in of_task.items() if value is not None]
        if wanted.text:
            matches = (column == wanted.text for column in (table.subject, table.dag_id, table.what))
            narrowing.append(sa.or_(*matches))
        visible = self._visible()
        # SQLite fetches each row that an index of these leads to by itself, where reading all in a row is ten times as
        # fast; so no index is used.
        all_of_kinds = (
            sa.func.coalesce(table.kind, "").in_(list(kinds)),
            sa.func.coalesce(table.expires_at, 0) > self.now,
        )
        clauses = [*all_of_kinds, *narrowing, *visible]
        count = self._connection.execute(sa.select(sa.func.count()).select_from(activity_table).where(*clauses))
        found = (
            sa.select(activity_table).where(*clauses) if narrowing else self._newest(kinds, visible, wanted.page * size)
        )
        order = found.selected_columns.started_at.desc(), found.selected_columns.key
        rows = self._connection.execute(found.order_by(*order).limit(size).offset((wanted.page - 1) * size)).all()
        return Tasks(list(rows), count.scalar_one())

    def _newest(
        self, kinds: Collection[str], visible: Sequence[sa.sql.ColumnElement[bool]], most: int
    ) -> sa.sql.CompoundSelect[Any]:
        """Return what has the newest tasks of each kind, at most so many: in their order they are in an index."""
        table = activity_table.c
        newest = sa.select(activity_table).where(table.expires_at > self.now, *visible)
        newest = newest.order_by(table.started_at.desc(), table.key).limit(most)
        return sa.union_all(*(sa.select(newest.where(table.kind == kind).subquery()) for kind in kinds))

    def deliveries(self, wanted: Wanted, size: int) -> Deliveries:
        """Return a page of deliveries: their ids, and nothing of their bodies."""
        table = events_table.c
        ids = table.screening_id, table.candidate_id, table.template_id
        earlier = [] if wanted.before is None else [table.position < wanted.before]
        columns = table.position, table.connection, table.event, table.received_at, *ids
        newest = sa.select(*columns).where(*earlier).order_by(table.position.desc()).limit(size + 1)
        if not wanted.text:
            return self._page(newest, size)
        of_screening = self._page(newest.where(table.screening_id == wanted.text), size)
        if of_screening.rows:
            return of_screening
        head = read_head(self._connection) + 1
        lowest = min(head, head if wanted.before is None else wanted.before) - _STRETCH
        others = (table.candidate_id, table.template_id, table.event)
        matches = sa.or_(*(column == wanted.text for column in others))
        found = self._page(newest.where(table.position >= lowest, matches), size)
        oldest = self._connection.execute(sa.select(sa.func.min(table.position))).scalar() or 0
        if found.before is None and oldest < lowest:
            return found._replace(before=lowest, is_searched_further=True)
        return found

    def _page(self, query: sa.sql.Select[Any], size: int) -> Deliveries:
        rows = list(self._connection.execute(query))
        return Deliveries(rows[:size], rows[size - 1].position if len(rows) > size else None)

    def consumers(self) -> list[Consumer]:
        """Return the consumers and how far behind each is."""
        head = read_head(self._connection)
        cursors = read_cursors(self._connection, _MOST_CONSUMERS)
        return [Consumer(one.connection, one.consumer, max(0, head - one.position), one.moved_at) for one in cursors]

    def _visible(self) -> list[sa.sql.ColumnElement[bool]]:
        dag_id = activity_table.c.dag_id
        known = set(self._connection.execute(sa.select(dag_id).distinct()).scalars())
        allowed = known.intersection(self._allow(known))
        return [] if allowed == known else [dag_id.in_(sorted(allowed))]


def read_overview(store: Store, allow: Allow, read: Callable[[Overview], dict[str, Any]]) -> dict[str, Any]:
    """Read the store with a function. :raises StoreError: if the store is away."""
    with store.read() as connection:
        return read(Overview(connection, store.now(connection), allow))
