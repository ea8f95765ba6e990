from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from pihupulse_provider.api.events import WebhookEvent
from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store.cursors import Cursor
from pihupulse_provider.store.engine import Store, open_store
from pihupulse_provider.store.inbox import Delivery, Inbox
from tests.sandbox.clients import client_of, created, screened
from tests.webhooks.deliveries import completed

STORE_URL = "AIRFLOW__PIHUPULSE__STORE_URL"


def test_the_fixture_runs_a_sandbox_and_is_the_default_connection(pihupulse_sandbox: Sandbox) -> None:
    connection = json.loads(os.environ["AIRFLOW_CONN_PIHUPULSE_DEFAULT"])
    assert connection == {
        "conn_type": "pihupulse",
        "host": pihupulse_sandbox.base_url,
        "password": pihupulse_sandbox.api_key,
        "extra": {"webhook_secret": pihupulse_sandbox.webhook_secret},
    }


KEYS: set[str] = set()


@pytest.mark.parametrize("use", ["first", "second"])
def test_every_use_of_the_fixture_is_an_account_of_its_own(pihupulse_sandbox: Sandbox, use: str) -> None:
    """A port comes again; the store must not take a new PihuPulse for that of an earlier test."""
    assert pihupulse_sandbox.api_key not in KEYS
    KEYS.add(pihupulse_sandbox.api_key)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The store that the configuration of a user names."""
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    monkeypatch.setenv(STORE_URL, url)
    return url


def content(store: Store) -> list[str]:
    with store.begin(), closing(sqlite3.connect(str(store).removeprefix("sqlite:///"))) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize("use", ["first", "second"])
def test_every_use_of_the_fixture_begins_with_a_store_like_a_new_one(
    elsewhere: str, pihupulse_sandbox: Sandbox, tmp_path: Path, use: str
) -> None:
    store = open_store(os.environ[STORE_URL])
    assert str(store) != elsewhere
    assert content(store) == content(Store(f"sqlite:///{tmp_path}/new.db"))
    body = completed("s1")
    Inbox(store).append([Delivery("pihupulse_default", WebhookEvent.parse(body), body)])
    Cursor(store, "pihupulse_default", "land").seek(1)


def test_a_store_chosen_after_the_fixture_holds(pihupulse_sandbox: Sandbox, elsewhere: str) -> None:
    assert os.environ[STORE_URL] == elsewhere


def test_screenings_of_the_fixture_complete_at_once(pihupulse_sandbox: Sandbox) -> None:
    with client_of(pihupulse_sandbox) as client:
        screening_id = screened(client, created(client))
        deadline = time.monotonic() + 5
        while client.get(f"/screenings/{screening_id}/report").status_code != 200:
            assert time.monotonic() < deadline


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    """Pytest loads it in every run of every user of the package."""
    code = (
        "import sys, pytest; before = set(sys.modules); import pihupulse_provider.sandbox.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    package = "pihupulse_provider"
    assert output.split() == [package, f"{package}.sandbox", f"{package}.sandbox.pytest_plugin"]
