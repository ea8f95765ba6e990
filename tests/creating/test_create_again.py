"""A retry goes on where the try before it was killed, whatever became of answers, ledger and store."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from threading import Thread
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa

from pihupulse_provider.api import DuplicateCreateError, NewCandidate
from pihupulse_provider.creating.errors import DeletedError, SourceChangedError
from pihupulse_provider.creating.resources import ScreeningResource
from pihupulse_provider.store import postgresql
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.ledger import JobTakenOverError, Ledger
from pihupulse_provider.store.retention import forget_jobs
from pihupulse_provider.store.store_url import parse_store_url
from tests.creating.importing import (
    JOB,
    NO_STORE,
    Import,
    KilledError,
    assert_each_once,
    bring_back,
    dead,
    emails,
    people,
    run,
    take_away,
)
from tests.creating.world import World


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
        fresh = world.new_ledger()
        summary = run(world, people(100), first_try=False, since=since, ledger=fresh, on_existing=on_existing)
        assert summary.created == 100
        assert_each_once(world, 100)

    @pytest.mark.parametrize("apart", [7200, -7200])
    @pytest.mark.parametrize("teller", ["scheduler", "worker"])
    def test_a_retry_without_its_ledger_doubles_nothing_whoever_said_since_when(self, world, apart, teller):
        """Nobody knows whose clock said when the DAG run began, nor whether the worker's is right."""
        since = world.moment()
        with pytest.raises(KilledError):
            run(world, people(100), kill_after=60)
        world.sandbox.advance(3 * 3600)
        world.next_process(apart)
        if teller == "worker":
            since += timedelta(seconds=apart)
        fresh = world.new_ledger()
        assert run(world, people(100), first_try=False, since=since, ledger=fresh).created == 100
        assert_each_once(world, 100)

    def test_the_ledger_knows_a_row_by_what_version_1_0_0_knew_it_by(self, world):
        """So that either goes on with what the other began."""
        ledger = world.ledger()
        run(world, [*people(1), *people(1)], ledger=ledger, on_repeated="create")
        body = '{"name":"Person 0","email":"Person.0@example.org"}'
        first = ledger.digest("candidate", body)
        items = {mark.item for mark in ledger.marks(ledger.open(JOB))}
        assert items == {first, ledger.digest(first.hex(), "2")}

    def test_a_changed_source_is_taken_as_long_as_nothing_was_sent(self, world):
        class Killed(Ledger):
            def mark(self, *_):
                raise KilledError

        with pytest.raises(KilledError):
            run(world, people(90), ledger=Killed(Store(world.store_url, world.wall_clock), world.account, world.now))
        with pytest.raises(KilledError):
            run(world, people(100), first_try=False, kill_after=60)
        assert run(world, people(100), first_try=False).created == 100
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

    def test_once_they_are_sorted_out_the_task_that_is_run_again_creates_nothing(self, world):
        """Nothing was marked, as the store was away; but for one row, all is marked by the retry."""
        with pytest.raises(KilledError):
            run(world, people(30), ledger=world.ledger(NO_STORE), kill_after=30)
        world.client.create_candidate(NewCandidate(name="By hand", email=people(1)[0]["email"]))
        for _ in range(2):
            world.sandbox.advance(600)
            with pytest.raises(DuplicateCreateError) as caught:
                run(world, people(30), first_try=False)
        world.sandbox.delete(caught.value.ids[1])
        assert run(world, people(30), first_try=False).created == 30
        assert_each_once(world, 30)


class TestDeleted:
    """What an earlier try created was deleted in the dashboard before the task was cleared."""

    @pytest.fixture(params=["candidates", "screenings"])
    def job(self, world, request):
        if request.param == "candidates":
            return {"rows": people(100)}
        rows = [{"candidate_id": f"c{12345 + n}"} for n in range(100)]
        return {"rows": rows, "resource": ScreeningResource("t54321", "Engineer", send_invitation=True)}

    @staticmethod
    def created(world, job):
        done = Import(world, **job)
        done.run()
        return [one["id"] for one in done.results]

    def test_all_of_it(self, world, job):
        ids = self.created(world, job)
        for one in ids:
            world.sandbox.delete(one)
        with pytest.raises(DeletedError, match=r"none of those that were looked at.*new DAG run") as caught:
            run(world, **job, first_try=False)
        assert caught.value.ids == [ids[0], ids[24], ids[49], ids[74], ids[99]]
        assert world.count("POST /candidates") + world.count("POST /screenings") == 100

    def test_some_of_it_is_no_error(self, world, job, caplog):
        ids = self.created(world, job)
        for one in ids[:30]:
            world.sandbox.delete(one)
        assert run(world, **job, first_try=False).created == 100
        assert f"not there any more: {ids[0]}, {ids[24]}." in caplog.text

    def test_none_of_it_costs_a_few_requests(self, world, job, caplog):
        self.created(world, job)
        assert run(world, **job, first_try=False).requests == 5
        assert "not there any more" not in caplog.text


class Overtaken(Import):
    """Is stopped for a while after 40 rows; meanwhile another try does them all."""

    def count(self, name, by):
        super().count(name, by)
        if self.metrics["created"] == 40:
            self.world.sandbox.advance(75)
            thread = Thread(target=run, args=(self.world, self.rows), kwargs={"first_try": False})
            thread.start()
            thread.join()


class TestTakenOver:
    """A try whose heartbeat was lost goes on for a moment beside its successor."""

    @pytest.mark.parametrize("on_existing", ["create", "skip"])
    def test_what_it_tells_the_ledger_late_is_not_created_again(self, world, on_existing):
        with pytest.raises(KilledError):
            run(world, people(100), kill_after=60, on_existing=on_existing)

        class Late(Ledger):
            def marks(self, job):
                """Read them; right after that the try before confirms what it created."""
                marks = list(super().marks(job))
                ids = {self.digest("candidate", one["email"].lower()): one["id"] for one in world.sandbox.candidates}
                done = [mark for mark in marks if mark.key in ids]
                unknown = next(mark for mark in done if mark.object_id is None)
                self.confirm(job, [mark._replace(object_id=ids[mark.key]) for mark in done])
                world.sandbox.delete(ids[unknown.key])  # so that no list shows it
                return iter(marks)

        late = Late(Store(world.store_url, world.wall_clock), world.account, clock=world.now)
        assert run(world, people(100), first_try=False, ledger=late, on_existing=on_existing).created == 100
        assert set(emails(world).values()) == {1}
        assert world.count("POST /candidates") == 100

    def test_once_stopped_for_a_while_it_sends_nothing_more(self, world):
        with pytest.raises(JobTakenOverError):
            Overtaken(world, people(100)).run()
        assert_each_once(world, 100)


class StoppedInTransaction(Ledger):
    """Is stopped for a while in a transaction of a method's; meanwhile another try does all rows."""

    def __init__(self, world, method, after):
        super().__init__(Store(world.store_url), world.account, clock=world.now)
        self.world, self.method, self.after = world, method, after
        self.patch, self.is_stopped = None, False

    def open(self, *arguments, **options):
        self.begin("open")
        return super().open(*arguments, **options)

    def mark(self, *arguments):
        self.begin("mark")
        return super().mark(*arguments)

    def begin(self, method):
        if self.patch is None and method == self.method and self.world.count("POST /candidates") >= self.after:
            self.patch = pytest.MonkeyPatch()
            self.patch.setattr(postgresql, "_LONGEST_IDLE", "200ms")

    def skew(self, connection):
        skew = super().skew(connection)
        if self.patch is not None and not self.is_stopped:
            self.is_stopped = True
            self.patch.undo()
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            self.world.sandbox.advance(75)
            thread = Thread(target=run, args=(self.world, people(100)), kwargs={"first_try": False})
            thread.start()
            thread.join()
            while self.is_there(pid):
                pass
        return skew

    def is_there(self, pid):
        with Store(self.world.store_url).read() as connection:
            return connection.exec_driver_sql(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}").first()


@pytest.mark.parametrize(("method", "after"), [("open", 0), ("mark", 0), ("mark", 40)])
def test_a_try_that_was_stopped_in_a_transaction_stops_nobody_and_sends_nothing_more(empty_postgres_url, method, after):
    world = World(empty_postgres_url, start_seconds=1e9)
    ledger = StoppedInTransaction(world, method, after)
    with pytest.raises(JobTakenOverError):
        run(world, people(100), ledger=ledger)
    assert ledger.is_stopped
    assert_each_once(world, 100)


class StoreComesBack(Import):
    """Has no store until fifty were created, and some seconds later tries it again."""

    def __init__(self, world, rows, store, *, seconds=20, after=50, **options):
        super().__init__(world, rows, **options)
        self.store, self.seconds, self.after = store, seconds, after
        store.mkdir()

    def count(self, name, by):
        super().count(name, by)
        if self.metrics["created"] == self.after:
            self.store.rmdir()
            self.world.sandbox.advance(self.seconds)


class Hung(httpx.AsyncBaseTransport):
    """Has the first request carried out, and does not respond as long as the process lives."""

    def __init__(self, inner):
        self._inner, self._is_first = inner, True
        self.killed = asyncio.Event()

    async def handle_async_request(self, request):
        is_first, self._is_first = self._is_first, False
        response = await self._inner.handle_async_request(request)
        if is_first:
            await self.killed.wait()
            raise KilledError
        return response


class OddIds(httpx.AsyncBaseTransport):
    """Gives each object an id that the ledger has no room for."""

    def __init__(self, inner, end):
        self._inner, self._end = inner, end

    async def handle_async_request(self, request):
        request.url = httpx.URL(str(request.url).replace(quote(self._end), ""))
        response = await self._inner.handle_async_request(request)
        document = json.loads(response.content)
        for one in document["data"] if isinstance(document["data"], list) else [document["data"]]:
            one["id"] += self._end
        return httpx.Response(response.status_code, headers={"Date": response.headers["Date"]}, json=document)


@pytest.mark.parametrize("end", ["\0", "x" * 300], ids=["NUL", "long"])
class TestOddIds:
    """On PostgreSQL, which refuses them."""

    @pytest.fixture
    def world(self, empty_postgres_url, end):
        world = World(empty_postgres_url, candidates=350, start_seconds=1e9)
        world.between = lambda transport: OddIds(transport, end)
        return world

    def test_a_try_that_was_taken_over_sends_nothing_more(self, world):
        with pytest.raises(JobTakenOverError):
            Overtaken(world, people(100)).run()
        assert_each_once(world, 100)

    def test_a_cleared_task_doubles_nobody(self, world, caplog):
        run(world, people(100))
        world.sandbox.advance(600)
        assert run(world, people(100), first_try=False).created == 100
        assert_each_once(world, 100)
        assert "failed" not in caplog.text


class TestClocks:
    """A retry runs where the clock is wrong, or was set in the meantime."""

    @pytest.mark.parametrize("apart", [10, -10, 600, -600, 3600, -3600])
    @pytest.mark.parametrize("is_store_wrong", [False, True], ids=["worker", "machine"])
    def test_what_was_created_is_adopted(self, world, apart, is_store_wrong):
        world.sandbox.fail("drop", method="POST", probability=0.2, after_commit=True)
        with pytest.raises(KilledError):
            run(world, people(100), kill_after=60)
        world.sandbox.advance(60)
        world.next_process(apart)
        world.wall_apart = apart if is_store_wrong else 0.0
        assert run(world, people(100), first_try=False).created == 100
        assert_each_once(world, 100)

    @pytest.mark.parametrize("lost", [0.2, 1.0])
    @pytest.mark.parametrize("apart", [-120, -600, -3000, -3599, 120, 3600, 31 * 86400, -31 * 86400])
    def test_what_was_created_is_adopted_although_the_machines_clock_was_set(self, world, apart, lost):
        """By less than the time between the tries, so that no moment in the ledger lies ahead."""
        world.sandbox.fail("drop", method="POST", probability=lost, after_commit=True)
        with pytest.raises(KilledError):
            run(world, people(100), kill_after=60)
        world.sandbox.heal()
        world.sandbox.advance(3600)
        world.next_process(apart)
        world.wall_apart = apart
        assert run(world, people(100), first_try=False).created == 100
        assert_each_once(world, 100)

    @pytest.mark.parametrize("apart", [-3600, 3600])
    def test_what_was_created_is_adopted_although_postgresqls_clock_was_set(self, empty_postgres_url, apart):
        """While the import runs, and again before it is tried once more."""
        engine = sa.create_engine(parse_store_url(empty_postgres_url))
        with engine.begin() as connection:
            for statement in (
                "CREATE SCHEMA wrong",
                "CREATE TABLE wrong.clock AS SELECT 0.0 AS ahead",
                (
                    "CREATE FUNCTION wrong.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT "
                    "pg_catalog.clock_timestamp() + (SELECT ahead FROM wrong.clock) * interval '1 second' $$"
                ),
            ):
                connection.exec_driver_sql(statement)
        world = World(f"{empty_postgres_url}?options=-csearch_path%3Dwrong,pg_catalog,public", candidates=350)

        def set_clock(ahead):
            with engine.begin() as connection:
                connection.exec_driver_sql(f"UPDATE wrong.clock SET ahead = {ahead}")

        class Setting(Import):
            def count(self, name, by):
                if self.metrics["created"] == 20:
                    set_clock(apart)
                super().count(name, by)

        world.sandbox.fail("drop", method="POST", probability=0.2, after_commit=True)
        with pytest.raises(KilledError):
            Setting(world, people(100), kill_after=60).run()
        world.sandbox.advance(60)
        set_clock(2 * apart)
        assert run(world, people(100), first_try=False).created == 100
        assert_each_once(world, 100)
        engine.dispose()

    @pytest.mark.parametrize("ahead", [600, 3600])
    def test_who_is_there_is_skipped_whatever_the_clock_said_when_they_were_sent(self, world, ahead):
        """The machine's clock was ahead during the first try, and more time than that goes by until the second."""
        world.sandbox.fail("drop", method="POST", probability=0.2, after_commit=True)
        world.next_process(ahead)
        world.wall_apart = ahead
        with pytest.raises(KilledError):
            run(world, people(100), kill_after=60, on_existing="skip")
        world.sandbox.advance(2 * ahead)
        world.next_process(0)
        world.wall_apart = 0
        summary = run(world, people(100), first_try=False, on_existing="skip")
        assert summary.created + summary.existing == 100
        assert_each_once(world, 100)

    @pytest.mark.parametrize("jump", [3600, -3600])
    def test_a_clock_that_is_set_after_a_lost_answer_changes_nothing(self, world, jump):
        began_at = world.now()
        job = Import(world, people(20))

        async def sleep(seconds):
            world.wall_apart = jump
            world.sandbox.advance(seconds)

        job.create.sleep = sleep
        world.sandbox.fail("drop", method="POST", probability=0.2, after_commit=True)
        assert job.run().created == 20
        assert_each_once(world, 20)
        assert world.now() - began_at < 100


def test_a_cleared_task_whose_job_was_forgotten_doubles_nobody(world):
    since = world.moment()
    run(world, people(100))
    world.sandbox.advance(30 * 86400)
    forget_jobs(world.ledger().store, world.now() - 86400)
    assert run(world, people(100), first_try=False, since=since).created == 100
    assert_each_once(world, 100)


def test_a_service_that_begins_anew_gives_the_jobs_own_ids_to_other_rows(world, store_url):
    """The local PihuPulse was restarted: its ids say nothing of what the ledger has under them."""
    with pytest.raises(KilledError):
        run(world, people(100), kill_after=60)
    anew = World(store_url, candidates=351, start_seconds=1e9)  # another one has the id of the first row
    anew.account = world.account
    anew.sandbox.advance(600)
    anew.sandbox.fail("drop", method="POST", probability=0.5, after_commit=True)
    assert run(anew, people(100), first_try=False).created == 100
    assert max(emails(anew).values()) == 1


class TestStoreAway:
    def test_from_the_start(self, world, caplog):
        since = world.moment()
        with pytest.raises(KilledError):
            run(world, people(100), ledger=world.ledger(NO_STORE), kill_after=50)
        assert "[pihupulse] store_url" in caplog.text
        run(world, people(100), ledger=world.ledger(NO_STORE), first_try=False, since=since)
        assert_each_once(world, 100)

    def test_until_a_retry_that_is_killed_before_it_marks_anything(self, world):
        """The ledger knows the job from then on, and still nothing of what was created before."""
        since = world.moment()
        with pytest.raises(KilledError):
            run(world, people(10), ledger=world.ledger(NO_STORE), kill_after=10)
        world.sandbox.advance(600)
        retry = Import(world, people(10), first_try=False, since=since)
        retry.create.ledger.marks = dead
        with pytest.raises(KilledError):
            retry.run()
        assert run(world, people(10), first_try=False, since=since).created == 10
        assert_each_once(world, 10)

    def test_until_the_middle(self, world, tmp_path, caplog):
        """The job that is begun late is of the same source to the retry."""
        caplog.set_level("INFO")
        with pytest.raises(KilledError):
            StoreComesBack(world, people(300), tmp_path / "store.db", kill_after=200).run()
        assert "The store is back." in caplog.text
        assert run(world, people(300), first_try=False).created == 300
        assert_each_once(world, 300)

    def test_while_a_response_is_waited_for(self, world, tmp_path):
        """A retry looks no further back than to the last mark: what is still on its way then must have one, too."""
        hung = Hung(world.sandbox.transport())

        class Outage(StoreComesBack):
            def count(self, name, by):
                try:
                    super().count(name, by)
                except KilledError:
                    hung.killed.set()
                    raise

        world.between = lambda _transport: hung
        with pytest.raises(KilledError):
            Outage(world, people(150), tmp_path / "store.db", kill_after=130).run()
        world.between = lambda transport: transport
        assert run(world, people(150), first_try=False).created == 150
        assert_each_once(world, 150)

    def test_until_it_is_killed_before_anything_is_recorded(self, world, tmp_path):
        """The job that is begun late counts from when the run began."""

        class Outage(StoreComesBack):
            def count(self, name, by):
                super().count(name, by)
                if self.metrics["created"] == 50:
                    self.create.ledger.catch_up = self.create.ledger.confirm = self.create.ledger.mark = dead

        with pytest.raises(KilledError):
            Outage(world, people(100), tmp_path / "store.db", seconds=100).run()
        assert run(world, people(100), first_try=False).created == 100
        assert_each_once(world, 100)

    def test_until_the_end_and_it_is_killed_while_it_records_what_was_done(self, world, tmp_path):
        """The row whose request was lost was sent last, and is recorded with the first of them."""
        world.sandbox.fail("drop", method="POST", times=1)
        outage = StoreComesBack(world, people(900), tmp_path / "store.db", after=900)
        ledger = outage.create.ledger
        catch_up = ledger.catch_up

        def record_a_part(*arguments):
            catch_up(*arguments)
            ledger.catch_up = ledger.confirm = ledger.mark = dead

        ledger.catch_up = record_a_part
        with pytest.raises(KilledError):
            outage.run()
        assert run(world, people(900), first_try=False).created == 900
        assert_each_once(world, 900)

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


def test_nobody_is_named_in_the_log_or_the_ledger(world, tmp_path, caplog):
    caplog.set_level("DEBUG")
    world.sandbox.fail("drop", method="POST", probability=0.2)
    job = Import(world, [*people(50), {"name": "Person X", "email": "person"}], max_rejects=5, on_existing="skip")
    job.run()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("latin-1")
    for text in (caplog.text, stored, json.dumps(job.rejects), json.dumps(job.results)):
        assert "person" not in text.casefold().replace("a person", "")
