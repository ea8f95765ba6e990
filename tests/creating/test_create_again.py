"""A retry goes on where the try before it was killed, whatever became of answers, ledger and store."""

from __future__ import annotations

import json

import pytest

from pihupulse_provider.api import (
    DuplicateCreateError,
    NewCandidate,
)
from pihupulse_provider.creating.errors import SourceChangedError
from tests.creating.importing import NO_STORE, Import, KilledError, assert_each_once, people, run


class TestKilled:
    @pytest.mark.parametrize("kill_after", [1, 17, 40, 99])
    @pytest.mark.parametrize("on_existing", ["create", "skip"])
    def test_a_retry_continues(self, world, kill_after, on_existing):
        with pytest.raises(KilledError):
            run(world, people(100), kill_after=kill_after, on_existing=on_existing)
        world.sandbox.advance(10)
        assert run(world, people(100), first_try=False, on_existing=on_existing).created == 100
        assert_each_once(world, 100)

    @pytest.mark.parametrize("on_existing", ["create", "skip"])
    def test_a_retry_without_its_ledger_doubles_nothing(self, world, on_existing):
        since = world.moment()
        with pytest.raises(KilledError):
            run(world, people(100), kill_after=60)
        fresh = world.ledger("sqlite://")
        summary = run(world, people(100), first_try=False, since=since, ledger=fresh, on_existing=on_existing)
        assert summary.created == 100
        assert_each_once(world, 100)

    def test_a_changed_source_is_refused(self, world):
        with pytest.raises(KilledError):
            run(world, people(100), kill_after=60)
        with pytest.raises(SourceChangedError, match="new DAG run"):
            run(world, people(101), first_try=False)

    def test_a_stranger_with_the_same_address_is_reported(self, world):
        with pytest.raises(KilledError):
            run(world, people(3), kill_after=3)
        for row in people(3):
            world.client.create_candidate(NewCandidate(**row))
        with pytest.raises(DuplicateCreateError):
            run(world, people(3), first_try=False)


def take_away(store, away):
    """Put a folder where the database was, so that nobody can open it."""
    store.rename(away)
    store.mkdir()


def bring_back(store, away):
    store.rmdir()
    away.rename(store)


class TestStoreAway:
    def test_from_the_start(self, world, caplog):
        since = world.moment()
        with pytest.raises(KilledError):
            run(world, people(100), ledger=world.ledger(NO_STORE), kill_after=50)
        assert "[pihupulse] store_url" in caplog.text
        run(world, people(100), ledger=world.ledger(NO_STORE), first_try=False, since=since)
        assert_each_once(world, 100)

    @pytest.mark.parametrize("back_after", [None, 90])
    def test_in_the_middle(self, world, tmp_path, back_after):
        store = tmp_path / "store.db"
        away = tmp_path / "away"

        class Outage(Import):
            def count(self, name, by):
                super().count(name, by)
                if self.metrics["created"] == 50:
                    take_away(store, away)
                if self.metrics["created"] == back_after:
                    bring_back(store, away)
                    world.sandbox.advance(20)

        with pytest.raises(KilledError):
            Outage(world, people(300), kill_after=200).run()
        if back_after is None:
            bring_back(store, away)
        assert run(world, people(300), first_try=False).created == 300
        assert_each_once(world, 300)


def test_no_personal_data_reaches_the_log_or_the_ledger(world, tmp_path, caplog):
    caplog.set_level("DEBUG")
    world.sandbox.fail("drop", method="POST", probability=0.2)
    job = Import(world, [*people(50), {"name": "Person X", "email": "person"}], max_rejects=5, on_existing="skip")
    job.run()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("latin-1")
    for text in (caplog.text, stored, json.dumps(job.rejects), json.dumps(job.results)):
        assert "person" not in text.casefold().replace("a person", "")
