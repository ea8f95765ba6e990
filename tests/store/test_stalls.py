"""Whoever keeps SQLite's lock for as long as others wait for it learns that they may have gone on without the store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pihupulse_provider.store import migrations, sqlite
from pihupulse_provider.store.engine import Store, StoreError

LOCK_SECONDS = 0.5


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a store is that has its tables."""
    path = tmp_path / "store.db"
    _write(Store(f"sqlite:///{path}"))
    monkeypatch.setattr(sqlite, "_LOCK_SECONDS", LOCK_SECONDS)
    return path


@pytest.fixture
def store(path: Path) -> Store:
    return Store(f"sqlite:///{path}")


def _write(store: Store) -> None:
    with store.begin():
        pass


def _be_stopped(*_: Any) -> None:
    time.sleep(LOCK_SECONDS)


def _be_stopped_and_fail(store: Store) -> None:
    with store.begin():
        _be_stopped()
        raise TimeoutError


def test_one_that_is_stopped_in_a_transaction(store: Store) -> None:
    with store.begin():
        _be_stopped()
    assert store.stalls == 1
    _write(store)
    assert store.stalls == 1


def test_one_that_is_stopped_in_a_transaction_that_fails_then(store: Store) -> None:
    with pytest.raises(TimeoutError):
        _be_stopped_and_fail(store)
    assert store.stalls == 1


def test_one_that_is_stopped_as_it_gets_the_lock(store: Store) -> None:
    sa.event.listen(store._engine, "begin", _be_stopped)
    _write(store)
    assert store.stalls == 1


def test_one_that_is_stopped_while_it_makes_the_tables(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = migrations.upgrade

    def be_stopped(*arguments: Any) -> None:
        upgrade(*arguments)
        _be_stopped()

    monkeypatch.setattr(migrations, "upgrade", be_stopped)
    store = Store(f"sqlite:///{path.with_name('new.db')}")
    _write(store)
    assert store.stalls == 1


def test_who_waits_in_vain_has_kept_nothing(store: Store, path: Path) -> None:
    other = Store(f"sqlite:///{path}")
    with other.begin(), pytest.raises(StoreError, match="locked"):
        _write(store)
    assert store.stalls == 0
