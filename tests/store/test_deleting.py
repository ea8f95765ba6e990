"""Many rows are deleted some at a time, and whoever else writes gets their turn in between."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from pihupulse_provider.store.deleting import AT_ONCE, delete_in_turns
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.ledger import creates_table

ROW = {"key": b"k", "at": 0.0}


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return Store(f"sqlite:///{tmp_path / 'store.db'}")
    return Store(request.getfixturevalue("empty_postgres_url"))


def test_who_writes_gets_their_turn_between_the_transactions(store: Store) -> None:
    """On SQLite nobody stands in line for the lock: who waits for it asks again now and then, ten times a second."""
    with store.begin() as connection:
        rows = [{"job": 1, "item": b"%d" % number, **ROW} for number in range(2 * AT_ONCE + 1)]
        connection.execute(sa.insert(creates_table), rows)
    other = Store(store._url.render_as_string(hide_password=False))
    pauses: list[float] = []

    def write_meanwhile(seconds: float) -> None:
        pauses.append(seconds)
        with other.begin() as connection:
            connection.execute(sa.insert(creates_table).values(job=2, item=b"%d" % len(pauses), **ROW))

    columns = creates_table.c
    deleted = delete_in_turns(store, columns.item, [columns.job == 1], [columns.item], sleep=write_meanwhile)
    with store.read() as connection:
        left = connection.execute(sa.select(columns.job)).scalars().all()
    assert deleted == 2 * AT_ONCE + 1
    assert pauses == ([0.1, 0.1] if store.is_sqlite else [])
    assert left == [2] * len(pauses)
    other.dispose()
    store.dispose()
