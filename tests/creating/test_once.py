"""A single create happens once, whatever becomes of its answer, its worker and its ledger."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import httpx
import pytest

from pihupulse_provider.api import (
    DuplicateCreateError,
    MemoryRateLimit,
    NewCandidate,
    ServerError,
    UnconfirmedCreateError,
)
from pihupulse_provider.api.rate_limit import Slot
from pihupulse_provider.creating.errors import DeletedError, ExistingRowsError
from pihupulse_provider.creating.once import create_candidate_once
from pihupulse_provider.creating.options import CreateOptions
from pihupulse_provider.store.ledger import Mark
from tests.creating.world import ALEX

JOB = "dag/run/task/-1"
NO_STORE = "sqlite:////proc/nowhere/store.db"


def create_candidate(world, *, ledger=None, candidate=ALEX, job=JOB, first_try=True, sleep=None, **options):
    options = CreateOptions(job, first_try, **{"on_existing": "create", **options})
    return create_candidate_once(
        world.connect, ledger or world.ledger(), options, candidate, sleep=sleep or world.sleep
    )


def alexes(world):
    return [one["id"] for one in world.sandbox.candidates if one["email"].casefold() == ALEX.email.casefold()]


class Late(httpx.AsyncBaseTransport):
    """Creates in so many seconds, which lists show two seconds later; the first time nothing useful is responded.

    :param responds_after: seconds until the response, or without a ``status`` until it was given up.
    :ivar posts: how many times it was asked for.
    """

    def __init__(self, world, transport, takes, responds_after, status):
        self.world, self.transport, self.status = world, transport, status
        self.takes, self.responds_after = takes, responds_after
        self.begun, self.posts = None, 0

    async def handle_async_request(self, request):
        self.posts += request.method == "POST"
        if self.begun is None:
            self.begun = self.world.now(), request
            self.world.sandbox.advance(self.responds_after)
            await self.create()
            if self.status is None:
                raise httpx.ReadTimeout("", request=request)
            return httpx.Response(self.status)
        await self.create()
        response = await self.transport.handle_async_request(request)
        document = json.loads(response.content)
        if isinstance(document["data"], list) and self.world.now() < self.begun[0] + self.takes + 2:
            document["data"] = [one for one in document["data"] if one["email"] != ALEX.email]
        return httpx.Response(response.status_code, headers={"Date": response.headers["Date"]}, json=document)

    async def create(self):
        began_at, request = self.begun
        if request is not None and self.world.now() >= began_at + self.takes:
            self.begun = began_at, None
            await self.transport.handle_async_request(request)


class TestCandidate:
    def test_a_clean_first_try_is_one_request(self, world):
        made = create_candidate(world)
        assert alexes(world) == [made.id]
        assert world.count(None) == 1

    def test_a_job_that_is_done_gives_the_same_candidate_again(self, world):
        made = create_candidate(world)
        again = create_candidate(world, first_try=False)
        assert again.id == made.id
        assert world.count("POST /candidates") == 1
        assert world.count(None) == 2

    def test_another_job_creates_the_same_address_again(self, world):
        create_candidate(world)
        create_candidate(world, job="dag/other/task/-1")
        assert len(alexes(world)) == 2

    @pytest.mark.parametrize("kind", ["drop", "truncated", "cut", "html", "error", "empty"])
    def test_a_lost_answer_is_looked_up_and_adopted(self, world, kind):
        world.sandbox.fail_next(kind, method="POST", after_commit=True)
        made = create_candidate(world)
        assert alexes(world) == [made.id]
        assert world.count("POST /candidates") == 1

    @pytest.mark.parametrize("kind", ["drop", "html", "error"])
    def test_what_was_lost_before_it_happened_is_sent_again_once_that_is_certain(self, world, kind):
        began = world.now()
        world.sandbox.fail_next(kind, method="POST")
        made = create_candidate(world)
        assert alexes(world) == [made.id]
        assert world.count("POST /candidates") == 2
        assert world.now() - began < 60

    @pytest.mark.parametrize(
        ("kind", "waits"), [("drop", [0.5, 1, 2, 4, 8, 16, 16.51]), ("error", [0.5, 1, 1.51])], ids=["48 s", "3 s"]
    )
    def test_what_was_lost_is_looked_for_until_its_end_is_certain_and_no_longer(self, world, caplog, kind, waits):
        """The service is done with what it responded to; else it has one and a half timeouts, and 3 s to show it."""
        caplog.set_level("INFO")
        waited = []

        async def sleep(seconds):
            waited.append(seconds)
            await world.sleep(seconds)

        world.sandbox.fail_next(kind, method="POST")
        create_candidate(world, sleep=sleep)
        assert waited[:-1] == pytest.approx(waits)
        assert "1 candidate sent without a response and not to be found: sending again." in caplog.text

    def test_a_request_that_lands_after_its_timeout_is_not_sent_again(self, world):
        world.sandbox.fail_next("latency", method="POST", seconds=40)
        made = create_candidate(world)
        assert alexes(world) == [made.id]
        assert world.count("POST /candidates") == 1

    @pytest.mark.parametrize("ending", [500, 201], ids=["error", "no body"])
    def test_a_service_that_fails_late_has_time_to_show_what_it_did(self, world, ending):
        late = Late(world, world.sandbox.transport(), takes=10, responds_after=10, status=ending)
        world.between = lambda _transport: late
        made = create_candidate(world)
        assert (alexes(world), late.posts) == ([made.id], 1)

    def test_a_connection_that_took_long_to_be_made_takes_no_time_from_the_service(self, world):
        late = Late(world, world.sandbox.transport(), takes=70, responds_after=59, status=None)
        world.between = lambda _transport: late
        made = create_candidate(world)
        assert (alexes(world), late.posts) == ([made.id], 1)

    def test_several_lost_answers_in_a_row_end_in_an_error_that_says_so(self, world):
        world.sandbox.fail("error", method="POST")
        with pytest.raises(UnconfirmedCreateError, match="sent 6 times") as caught:
            create_candidate(world)
        assert isinstance(caught.value.__cause__, ServerError)
        assert "alex" not in str(caught.value).casefold()

    def test_a_retry_after_a_kill_adopts_what_the_killed_try_created(self, world):
        world.sandbox.fail("drop", method="POST", after_commit=True, times=1)
        killed = RuntimeError("killed")

        async def die(seconds):
            raise killed

        with pytest.raises(RuntimeError):
            create_candidate(world, sleep=die)
        began = world.now()
        made = create_candidate(world, first_try=False)
        assert alexes(world) == [made.id]
        assert world.count("POST /candidates") == 1
        assert world.now() - began < 1

    def test_a_look_up_reads_only_the_newest_pages(self, world):
        world.sandbox.fail_next("drop", method="POST", after_commit=True)
        world.sandbox.advance(3600)
        create_candidate(world)
        assert world.count("GET /candidates") <= 2

    def test_an_older_candidate_with_the_address_is_not_taken_for_the_new_one(self, world):
        create_candidate(world, job="dag/earlier/task/-1", ledger=world.new_ledger())
        world.sandbox.advance(60)
        world.sandbox.fail_next("drop", method="POST")
        made = create_candidate(world)
        assert len(alexes(world)) == 2
        assert made.id == alexes(world)[1]

    @pytest.mark.parametrize("set_by", [0.0, 3600.0])
    def test_a_candidate_that_another_job_created_meanwhile_is_not_adopted(self, world, set_by):
        """Nor where the machine's clock is set right after that: the ledger has the service's time, too."""
        world.sandbox.fail_next("drop", method="POST", path="/candidates")
        ledger = world.ledger()

        async def sleep(seconds):
            await world.sleep(seconds)
            if not alexes(world):
                await asyncio.to_thread(create_candidate, world, ledger=ledger, job="dag/other/task/-1")
                world.wall_apart = set_by

        made = create_candidate(world, ledger=ledger, sleep=sleep)
        assert len(alexes(world)) == 2
        assert made.id in alexes(world)

    def test_two_matches_fail_with_both_ids(self, world):
        ledger = world.ledger()
        key = ledger.digest("candidate", ALEX.email.casefold())
        ledger.mark(ledger.open(JOB), [(key, key)])
        world.client.create_candidate(ALEX)
        world.client.create_candidate(ALEX)
        with pytest.raises(DuplicateCreateError) as caught:
            create_candidate(world, ledger=ledger, first_try=False)
        assert sorted(caught.value.ids) == alexes(world)

    @pytest.mark.parametrize("skew", [-7200, 7200])
    def test_a_service_whose_clock_is_wrong_is_understood(self, world, skew):
        world.sandbox.skew(skew)
        world.sandbox.fail_next("drop", method="POST", after_commit=True)
        made = create_candidate(world)
        assert alexes(world) == [made.id]

    @pytest.mark.parametrize("kind", ["drop", None])
    def test_a_retry_without_its_ledger_looks_first(self, world, tmp_path, kind):
        began = world.moment()
        create_candidate(world)
        world.sandbox.advance(60)
        made = create_candidate(
            world, ledger=world.ledger(f"sqlite:///{tmp_path}/new.db"), first_try=False, since=began
        )
        assert alexes(world) == [made.id]
        assert world.count("POST /candidates") == 1

    def test_a_retry_without_its_ledger_does_not_adopt_what_is_older_than_the_job(self, world):
        create_candidate(world, job="dag/earlier/task/-1")
        world.sandbox.advance(3600)
        since = world.moment() - timedelta(minutes=1)
        create_candidate(world, ledger=world.new_ledger(), first_try=False, since=since)
        assert len(alexes(world)) == 2

    def test_without_a_store_it_warns_and_still_creates_once(self, world, caplog):
        world.sandbox.fail_next("drop", method="POST", after_commit=True)
        began = world.moment()
        made = create_candidate(world, ledger=world.ledger(NO_STORE))
        assert "[pihupulse] store_url" in caplog.text
        again = create_candidate(world, ledger=world.ledger(NO_STORE), first_try=False, since=began)
        assert alexes(world) == [made.id] == [again.id]

    def test_the_ledger_holds_no_personal_data(self, world, tmp_path):
        create_candidate(world)
        stored = b"".join(path.read_bytes() for path in tmp_path.iterdir()).lower()
        assert b"pihupulse_creates" in stored
        assert b"alex" not in stored
        assert b"johnson" not in stored

    def test_a_corrected_address_is_another_candidate(self, world):
        create_candidate(world)
        create_candidate(world, candidate=NewCandidate(name="Alex", email="alex.j@example.com"), first_try=False)
        assert world.count("POST /candidates") == 2

    def test_a_deleted_candidate_is_said_to_be_so(self, world):
        made = create_candidate(world)
        world.sandbox.delete(made.id)
        with pytest.raises(DeletedError, match=f"candidate {made.id} is not there any more.*new DAG run") as caught:
            create_candidate(world, first_try=False)
        assert caught.value.ids == [made.id]
        assert world.count("POST /candidates") == 1


class TestExistingCandidate:
    @pytest.fixture
    def existing(self, world):
        return create_candidate(world, job="dag/earlier/task/-1").id

    def test_skip_returns_it(self, world, existing):
        assert create_candidate(world, on_existing="skip").id == existing
        assert alexes(world) == [existing]

    def test_skip_creates_one_where_there_is_none(self, world):
        made = create_candidate(world, on_existing="skip")
        assert alexes(world) == [made.id]

    def test_fail_names_no_address(self, world, existing):
        with pytest.raises(ExistingRowsError, match="The candidate exists already") as caught:
            create_candidate(world, on_existing="fail")
        assert "example" not in str(caught.value)
        assert alexes(world) == [existing]

    @pytest.mark.parametrize("on_existing", ["create", "skip", "fail"])
    def test_a_retry_gets_its_own(self, world, on_existing):
        world.sandbox.fail_next("drop", method="POST", after_commit=True)
        made = create_candidate(world, on_existing=on_existing)
        assert create_candidate(world, on_existing=on_existing, first_try=False).id == made.id
        assert alexes(world) == [made.id]


class TestBusyLimit:
    """The account's limit is used up: a request waits longer for its turn than a lost one could take."""

    @pytest.fixture(autouse=True)
    def limit(self, world):
        class BusyOnce(MemoryRateLimit):
            is_busy = True

            def reserve(self, *, poll=False):
                slot = super().reserve(poll=poll)
                busy, self.is_busy = 100 * self.is_busy, False
                return Slot(slot.at + busy, taken=slot.taken, used=slot.used, voided=slot.voided)

        world.limit = BusyOnce(clock=world.now)

    @pytest.mark.parametrize("lost_before", [False, True])
    def test_lost_answers_are_looked_for_all_the_same(self, world, lost_before):
        world.sandbox.fail_next("drop", method="POST", after_commit=not lost_before)
        made = create_candidate(world)
        assert alexes(world) == [made.id]
        assert world.count("POST /candidates") == 1 + lost_before

    def test_the_time_in_which_it_may_still_be_carried_out_begins_when_it_is_sent(self, world):
        world.sandbox.fail_next("drop", method="POST")
        create_candidate(world)
        first, second = (one.at for one in world.sandbox.requests if one.method == "POST")
        assert second - first >= 48


class TestReusedIds:
    """A PihuPulse that was started anew, with nothing in it, gives ids that the ledger knows of another job."""

    @pytest.fixture
    def ledger(self, world):
        ledger = world.ledger()
        other = ledger.open("dag/earlier/task/-1")
        key = ledger.digest("candidate", ALEX.email.casefold())
        ids = [f"c{number}" for number in range(12345, 13000)]
        marks = [Mark(bytes([n // 256, n % 256]) * 8, key, world.now(), one) for n, one in enumerate(ids)]
        ledger.confirm(other, marks)
        world.sandbox.advance(60)
        return ledger

    @pytest.mark.parametrize("on_existing", ["create", "skip"])
    def test_what_was_lost_is_adopted(self, world, ledger, on_existing):
        world.sandbox.fail_next("drop", method="POST", after_commit=True)
        made = create_candidate(world, ledger=ledger, on_existing=on_existing)
        assert alexes(world) == [made.id]
        assert world.count("POST /candidates") == 1
