"""Imports whose process is killed with -9 at random moments, while one answer in ten is lost after the commit.

``PIHUPULSE_TEST_SIZE=full`` runs them with 2,000 rows and 25 kills.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.ledger import Ledger
from tests.reliability.importing import JOB, Importer, account

IS_FULL = os.environ.get("PIHUPULSE_TEST_SIZE") == "full"
ROWS = 2000 if IS_FULL else 150
KILLS = 25 if IS_FULL else 3


@pytest.fixture
def sandbox():
    with Sandbox(candidates=ROWS, start_seconds=1e9) as sandbox:
        sandbox.fail("drop", method="POST", probability=0.1, after_commit=True)
        sandbox.fail("latency", method="POST", seconds=0.01)
        yield sandbox


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return request.getfixturevalue("postgres_url")


def killed_at_random(forks, sandbox, kind, store_url, count):
    chance = random.Random(f"{kind} {store_url.partition(':')[0]}")
    importer = Importer(forks, sandbox, kind, store_url, ROWS)
    for threshold in sorted(chance.sample(range(1, ROWS - 20), KILLS)):
        importer.kill_when(lambda threshold=threshold: count() >= threshold)
    return importer.finish()


def known_ids(sandbox, store_url):
    store = Store(store_url)
    ledger = Ledger(store, account(sandbox.base_url))
    ids = [mark.object_id for mark in ledger.marks(ledger.open(JOB))]
    store.dispose()
    return ids


def test_no_candidate_is_lost_or_doubled(forks, sandbox, store_url):
    output = killed_at_random(forks, sandbox, "candidates", store_url, lambda: len(sandbox.account.candidates) - ROWS)
    made = [one for one in sandbox.candidates if one["email"].endswith("@example.org")]
    assert Counter(one["email"] for one in made) == Counter(f"person.{n}@example.org" for n in range(ROWS))
    assert sorted(known_ids(sandbox, store_url)) == sorted(one["id"] for one in made)
    assert f"{ROWS:,} candidates created" in output


def test_nobody_is_invited_twice(forks, sandbox, store_url):
    killed_at_random(forks, sandbox, "screenings", store_url, lambda: len(sandbox.account.screenings))
    invited = Counter(one["candidate_id"] for one in sandbox.invitations)
    assert invited == Counter(f"c{12345 + n}" for n in range(ROWS))
    assert sorted(known_ids(sandbox, store_url)) == sorted(one["id"] for one in sandbox.screenings)


def test_a_new_machine_without_the_ledger_doubles_nothing(forks, sandbox, tmp_path):
    importer = Importer(forks, sandbox, "candidates", f"sqlite:///{tmp_path}/first.db", ROWS)
    importer.kill_when(lambda: len(sandbox.account.candidates) >= ROWS + ROWS // 2)
    importer.store_url = f"sqlite:///{tmp_path}/second.db"
    importer.finish()
    made = Counter(one["email"] for one in sandbox.candidates if one["email"].endswith("@example.org"))
    assert made == Counter(f"person.{n}@example.org" for n in range(ROWS))


def test_a_disk_that_is_full_under_the_store_stops_nothing(forks, sandbox, tmp_path):
    """The kernel refuses to let any file grow beyond what the ledger soon needs."""
    importer = Importer(forks, sandbox, "candidates", f"sqlite:///{tmp_path}/store.db", ROWS)
    output = importer.finish("--largest-file", "120000")
    assert "Going on without it" in output
    importer.finish()
    made = Counter(one["email"] for one in sandbox.candidates if one["email"].endswith("@example.org"))
    assert made == Counter(f"person.{n}@example.org" for n in range(ROWS))
