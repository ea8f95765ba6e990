"""By which connections each account is known, for people to read: an account's key tells nobody anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pihupulse_provider.api.events import LONGEST
from pihupulse_provider.store.engine import insert_once, metadata

_MOST_NAMES = 1000

accounts_table = sa.Table(
    "pihupulse_accounts",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("connection", sa.String(LONGEST), primary_key=True),
)


def name_account(connection: Connection, account: str, names: Iterable[str]) -> None:
    """Record that Airflow connections of these names stand for an account."""
    for name in names:
        insert_once(connection, accounts_table, {"account": account, "connection": name})


def names_of(connection: Connection, accounts: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of those accounts that have any."""
    table = accounts_table.c
    query = sa.select(accounts_table).where(table.account.in_(accounts)).order_by(table.connection)
    names: dict[str, list[str]] = {}
    for row in connection.execute(query.limit(_MOST_NAMES)):
        names.setdefault(row.account, []).append(row.connection)
    return names
