"""Rounds of looking at lists that shift, whatever they hold."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pihupulse_provider.api import IncompleteReadError, NoAnswerError, ServerError, UnauthorizedError
from pihupulse_provider.api.models import Candidate, CandidateScreening, Page, PageMeta, Screening
from pihupulse_provider.waiting.poll_round import PageRequest, PollRound
from pihupulse_provider.waiting.request_plan import ListPositions


@dataclass
class Service:
    """A list of screenings: each has an id, a candidate and a status; pages have any size."""

    rows: list[Screening]
    per_page: int = 100
    asked: list = field(default_factory=list)

    @property
    def pages(self):
        return max(1, -(-len(self.rows) // self.per_page))

    def page(self, number):
        first = (number - 1) * self.per_page
        meta = PageMeta(total_pages=self.pages, total_count=len(self.rows), per_page=self.per_page)
        return Page[Screening](data=self.rows[first : first + self.per_page], meta=meta)

    def candidate(self, candidate_id):
        own = [
            CandidateScreening(id=row.id, status=row.status) for row in self.rows if row.candidate_id == candidate_id
        ]
        return Candidate(id=candidate_id, screenings=own) if own else None


def naive(wanted, pages):
    """The cheaper of asking for each candidate, if all are known, and reading every page."""
    owners = set(wanted.values())
    return pages if None in owners else min(pages or len(owners), len(owners))


def run(service, wanted, positions, watched=()):
    """Carry out one round, and check that no plan costs more than doing it naively would by what is known."""
    round_, read = PollRound(wanted, positions, watched), set()
    while requests := round_.requests():
        left = {
            one: positions.candidate_of.get(one, candidate)
            for one, candidate in wanted.items()
            if one not in round_.seen and one not in round_.missing
        }
        unread = set(range(1, (positions.total_pages or 1) + 1)).difference(read)
        assert len(requests) <= naive(left, len(unread))
        assert len(set(requests)) == len(requests)
        for request in requests:
            if isinstance(request, PageRequest):
                round_.take_page(request.number, service.page(request.number))
                read.add(request.number)
            else:
                round_.take_candidate(request.candidate_id, service.candidate(request.candidate_id))
    return round_


def screening(number, owner=None, status="pending"):
    return Screening(id=f"s{number}", candidate_id=owner or f"c{number}", status=status)


@st.composite
def accounts(draw):
    owners = draw(st.lists(st.integers(0, 8), min_size=1, max_size=40))
    rows = [screening(number, f"c{owner}") for number, owner in enumerate(owners)]
    wanted = draw(st.lists(st.sampled_from(rows), min_size=1, unique_by=lambda row: row.id))
    known = draw(st.sampled_from(["all", "none", "some"]))
    candidate_of = {
        row.id: row.candidate_id if known == "all" or (known == "some" and draw(st.booleans())) else None
        for row in wanted
    }
    return Service(rows, draw(st.integers(1, 7))), candidate_of


SHIFTS = st.lists(
    st.lists(st.tuples(st.sampled_from(["insert", "append", "drop", "finish"]), st.integers(0, 60)), max_size=6),
    min_size=1,
    max_size=4,
)


def shift(service, step, place, fresh):
    rows = service.rows
    if step == "insert":
        rows.insert(0, screening(fresh))
    elif step == "append":
        rows.append(screening(fresh))
    elif rows:
        at = place % len(rows)
        if step == "drop":
            del rows[at]
        else:
            rows[at] = rows[at].model_copy(update={"status": "completed"})


@settings(max_examples=300, deadline=None)
@given(accounts(), SHIFTS)
def test_each_round_shows_all_that_the_service_shows_and_costs_no_more_than_doing_it_naively(account, rounds):
    service, wanted = account
    positions, fresh = ListPositions(), 1000
    for shifts in [[], *rounds]:
        for step, place in shifts:
            fresh += 1
            shift(service, step, place, fresh)
        known = {one: positions.candidate_of.get(one, candidate) for one, candidate in wanted.items()}
        round_ = run(service, wanted, positions)
        shown = {row.id: row.status for row in service.rows if row.id in wanted}
        assert {snapshot.screening_id: snapshot.status for snapshot in round_.drain()} == shown
        assert round_.missing == set(wanted) - set(shown)
        assert round_.sent <= 3 * naive(known, service.pages) + 2 + len(round_.missing)


@settings(max_examples=200, deadline=None)
@given(accounts())
def test_a_list_that_stays_is_read_with_the_fewest_requests_from_the_second_round_on(account):
    service, wanted = account
    positions = ListPositions()
    first = run(service, wanted, positions)
    assert first.sent <= naive(wanted, service.pages) + 2
    known = {one: positions.candidate_of.get(one, candidate) for one, candidate in wanted.items()}
    assert run(service, wanted, positions).sent <= naive(known, service.pages)


def account_of(count, per_page=100):
    return Service([screening(number) for number in range(count)], per_page)


def owners(numbers):
    return {f"s{number}": f"c{number}" for number in numbers}


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_thousand_new_screenings_in_a_large_account_take_a_request_for_each_hundred(newest_first):
    service, positions, wanted = account_of(20_000), ListPositions(), owners(range(19_000, 20_000))
    if newest_first:
        service.rows.reverse()
    assert [run(service, wanted, positions).sent for _ in range(3)] == [11, 10, 10]


def test_rows_that_are_put_in_front_are_followed_at_the_cost_of_one_request():
    service, positions, wanted = account_of(20_000), ListPositions(), owners(range(1_000))
    run(service, wanted, positions)
    service.rows[:0] = [screening(30_000 + number) for number in range(250)]
    round_ = run(service, wanted, positions)
    assert len(round_.seen) == 1_000
    assert round_.sent <= 12
    assert run(service, wanted, positions).sent == 11


def test_a_few_old_screenings_are_asked_for_by_candidate():
    service, positions, wanted = account_of(20_000), ListPositions(), owners([5_000, 9_000, 13_000])
    assert [run(service, wanted, positions).sent for _ in range(3)] == [5, 3, 3]


def test_a_few_new_screenings_on_one_page_are_one_request_from_the_second_round_on():
    service, positions, wanted = account_of(20_000), ListPositions(), owners(range(19_990, 19_995))
    assert [run(service, wanted, positions).sent for _ in range(3)] == [2, 1, 1]


def test_no_page_is_read_for_what_candidates_show_that_are_asked_for_anyway():
    """Two of them were seen on the last page, the others of the same candidates on no page yet."""
    service = Service([screening(number, "c8" if number in (7, 15) else "c0") for number in range(16)], per_page=2)
    wanted = {f"s{number}": service.rows[number].candidate_id for number in (2, 3, 4, 5, 6, 7, 14, 15)}
    positions = ListPositions()
    run(service, wanted, positions)
    assert run(service, wanted, positions).sent == 2


def test_one_screening_is_one_request():
    assert run(account_of(20_000), owners([7_000]), ListPositions()).sent == 1


def test_what_is_on_a_page_that_is_read_anyway_is_seen_too():
    round_ = run(account_of(50), {"s3": None}, ListPositions(), watched={"s4", "s5"})
    assert round_.seen == {"s3", "s4", "s5"}
    assert [one.screening_id for one in round_.drain()] == ["s3", "s4", "s5"]
    assert round_.drain() == []


def test_a_service_that_gives_smaller_pages_than_asked_for_is_believed():
    service, positions, wanted = account_of(100, per_page=20), ListPositions(), owners(range(90, 100))
    assert [run(service, wanted, positions).sent for _ in range(2)] == [2, 1]


def test_a_candidate_whose_details_name_no_screenings_does_not_prove_that_there_are_none():
    round_ = PollRound({"s1": "c1"}, ListPositions())
    assert [request.candidate_id for request in round_.requests()] == ["c1"]
    round_.take_candidate("c1", Candidate(id="c1"))
    assert round_.requests() == [PageRequest(1)]
    round_.take_page(1, Page[Screening](data=[screening(1, "c1", "completed")], meta=PageMeta(total_pages=1)))
    assert round_.requests() == []
    assert [one.status for one in round_.drain()] == ["completed"]


def test_a_list_that_changes_while_it_is_read_is_read_again_before_anything_counts_as_missing():
    service, round_ = account_of(4, per_page=2), PollRound({"s2": None}, ListPositions())
    assert round_.requests() == [PageRequest(1)]
    round_.take_page(1, service.page(1))
    del service.rows[0]
    assert round_.requests() == [PageRequest(2)]
    round_.take_page(2, service.page(2))
    assert round_.requests() == [PageRequest(1)]
    round_.take_page(1, service.page(1))
    assert round_.requests() == []
    assert "s2" in round_.seen


def test_what_a_second_reading_of_a_list_that_stays_does_not_show_either_is_missing():
    service, round_ = account_of(4, per_page=2), PollRound({"s9": None}, ListPositions())
    while requests := round_.requests():
        for request in requests:
            round_.take_page(request.number, service.page(request.number))
            del service.rows[4 - min(1, round_.sent) :]
    assert round_.missing == {"s9"}
    assert round_.sent == 4


def test_what_a_whole_list_does_not_show_is_missing_although_nobody_knows_its_candidate():
    round_ = run(account_of(250), {"s3": None, "s999": None}, ListPositions())
    assert (round_.seen, round_.missing, round_.sent) == ({"s3"}, {"s999"}, 3)


def test_the_candidate_that_a_list_has_shown_is_asked_once_the_screening_is_gone():
    service, positions = account_of(20_000), ListPositions()
    run(service, {"s50": None}, positions)
    del service.rows[50]
    round_ = run(service, {"s50": None}, positions)
    assert round_.missing == {"s50"}
    assert round_.sent <= 4


def test_rows_that_move_in_a_list_of_the_same_length_are_followed():
    """The first page shows by how much; each other page that is read is the right one."""
    service, positions = account_of(20_000), ListPositions()
    wanted = dict.fromkeys(f"s{row}" for row in (30, 31, *range(350, 3000, 300), *range(351, 3000, 300)))
    run(service, wanted, positions)
    service.rows[:0] = [screening(30_000 + number) for number in range(60)]
    del service.rows[20_000:]
    assert run(service, wanted, positions).sent == 10


class Stuck(Service):
    """A cache on the way ignores which page was asked for, and the list says that it has a million."""

    def page(self, number):
        self.asked.append(number)
        return Page[Screening](data=self.rows[: self.per_page], meta=PageMeta(total_pages=1_000_000))


def test_a_list_that_gives_the_same_page_again_and_again_ends_the_round():
    service = Stuck([screening(number) for number in range(100)])
    with pytest.raises(IncompleteReadError):
        run(service, {"s1000": None}, ListPositions())
    assert len(service.asked) < 50


@pytest.mark.parametrize("number", range(40, 90))
def test_a_list_that_changes_all_the_time_is_no_proof_that_a_screening_is_gone(number):
    """With each page that is read the first row goes, and the rest move forward, some past the reading."""
    service, round_ = account_of(90, per_page=5), PollRound({f"s{number}": None}, ListPositions())
    while requests := round_.requests():
        for request in requests:
            round_.take_page(request.number, service.page(request.number))
            added = [screening(1000 + 2 * round_.sent), screening(1001 + 2 * round_.sent)]
            service.rows = service.rows[1:] + (added if round_.sent % 2 == 0 else [])
    assert not round_.missing


def test_a_list_without_the_page_that_failed_is_no_proof_that_a_screening_is_gone():
    service, round_ = account_of(4, per_page=1), PollRound({"s9": None}, ListPositions())
    while requests := round_.requests():
        for request in requests:
            if request.number == 2:
                round_.fail(request, ServerError("No", status=500))
            else:
                round_.take_page(request.number, service.page(request.number))
    assert not round_.missing
    assert round_.sent == 3
    assert isinstance(round_.error, ServerError)


def test_a_round_is_broken_off_when_more_fails_than_not():
    round_ = PollRound({"s1": "c1"}, ListPositions())
    (first,) = round_.requests()
    round_.fail(first, ServerError("No", status=500))
    (second,) = round_.requests()
    assert second == PageRequest(1)
    with pytest.raises(ServerError):
        round_.fail(second, ServerError("No", status=500))


@pytest.mark.parametrize("error", [NoAnswerError("away"), UnauthorizedError("no", status=401)])
def test_a_round_is_broken_off_by_what_is_not_about_one_request(error):
    round_ = PollRound({"s1": "c1"}, ListPositions())
    (first,) = round_.requests()
    with pytest.raises(type(error)):
        round_.fail(first, error)
