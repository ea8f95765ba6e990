"""Imports for the tests to run, and to kill."""

from __future__ import annotations

from collections import Counter

from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.create_run import CreateRun
from pihupulse_provider.creating.options import CreateOptions
from pihupulse_provider.creating.readers import read_records
from pihupulse_provider.creating.resources import CandidateResource

JOB = "dag/run/import/-1"
NO_STORE = "sqlite:////proc/nowhere/store.db"


class KilledError(BaseException):
    """Stands for the end of the process: nothing catches it."""


def people(count):
    return [{"name": f"Person {n}", "email": f"Person.{n}@example.org"} for n in range(count)]


def dead(*_):
    raise KilledError


class Import:
    def __init__(
        self,
        world,
        rows,
        *,
        ledger=None,
        resource=None,
        first_try=True,
        since=None,
        kill_after=None,
        job=JOB,
        **options,
    ):
        self.results, self.rejects, self.metrics = [], [], Counter()
        self.kill_after = kill_after
        self.world = world
        options = {"on_existing": "create", **options}
        self.create = CreateRun(
            resource or CandidateResource(CandidateInput()),
            CreateOptions(job, first_try=first_try, since=since, **options),
            ledger or world.ledger(),
            self.connect,
            write_results=self.results.extend,
            write_rejects=lambda rows: setattr(self, "rejects", list(rows)),
            count=self.count,
            sleep=world.sleep,
        )
        self.rows = rows

    def connect(self):
        return self.world.connect()

    def count(self, name, by):
        self.metrics[name] += by
        sent = self.metrics["created"] + self.metrics["lost_answers"]
        if self.kill_after is not None and sent >= self.kill_after:
            self.create.ledger.confirm = self.create.ledger.mark = dead
            raise KilledError

    def run(self):
        return self.create.run(read_records(self.rows))


def run(world, rows, **options):
    return Import(world, rows, **options).run()


def emails(world):
    return Counter(one["email"].casefold() for one in world.sandbox.candidates if one["email"].endswith(".org"))


def assert_each_once(world, count):
    assert emails(world) == Counter(row["email"].casefold() for row in people(count))


def take_away(store, away):
    """Put what nobody can open where the database was, at no moment leaving its place empty."""
    away.hardlink_to(store)
    nothing = store.with_name("nothing")
    nothing.symlink_to(store.parent)
    nothing.replace(store)


def bring_back(store, away):
    away.replace(store)
