"""A field that does not fit takes nothing with it: neither its object, nor the page that this is on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pihupulse_provider.api import Candidate, NewCandidate, ResponseError, Screening
from tests.api.drivers import BlockingDriver, Driver, Service

ODD = [
    ("list_screenings", {"score": "n/a"}),
    ("list_screenings", {"score": [85]}),
    ("list_screenings", {"completed_at": ""}),
    ("list_screenings", {"status": {"name": "completed"}}),
    ("list_screenings", {"candidate_id": None}),
    ("list_candidates", {"updated_at": ""}),
    ("list_candidates", {"phone": ["+1234567890"]}),
    ("list_candidates", {"experience_years": "5+"}),
    ("list_candidates", {"education": "none"}),
    ("list_candidates", {"education": ["none"]}),
    ("list_candidates", {"skills": ["Python", {"name": "React"}]}),
    ("list_candidates", {"screenings": {}}),
]


def _page(connect: Callable[..., Driver], method: str, document: Any) -> Any:
    return connect(Service(httpx.Response(200, json=document))).call(method)


@pytest.mark.parametrize(("method", "odd"), ODD)
def test_odd_optional_field_counts_as_missing(connect: Callable[..., Driver], method: str, odd: dict[str, Any]) -> None:
    name, raw = next(iter(odd.items()))

    page = _page(connect, method, {"data": [{"id": "x1", "status": "active"}, {"id": "x2", **odd}]})

    assert [one.id for one in page.data] == ["x1", "x2"]
    assert page.data[0].status == "active"
    assert getattr(page.data[1], name) is None
    assert page.data[1].public().get(name) is None
    assert page.data[1].document().get(f"{name}_as_sent") == raw


def test_rest_of_an_entry_with_an_odd_field_is_kept(connect: Callable[..., Driver]) -> None:
    document = {"id": "c1", "education": [{"degree": "BSc", "year": "2014-2018"}, {"degree": "MSc", "year": 2020}]}

    education = _page(connect, "list_candidates", {"data": [document]}).data[0].education

    assert [(one.degree, one.year) for one in education] == [("BSc", None), ("MSc", 2020)]


@pytest.mark.parametrize("name", ["skills", "education", "screenings"])
def test_nulls_in_a_list_are_dropped(connect: Callable[..., Driver], name: str) -> None:
    whole = {"skills": "Python", "education": {"degree": "BSc"}, "screenings": {"id": "s1"}}[name]

    page = _page(connect, "list_candidates", {"data": [{"id": "c1", name: [None, whole, None]}, None, {"id": "c2"}]})

    assert [one.id for one in page.data] == ["c1", "c2"]
    assert page.data[0].document()[name] == [whole]


@pytest.mark.parametrize("meta", [None, [], "none", {"total_pages": "many", "total_count": "2"}])
def test_meta_that_tells_nothing_counts_as_missing(connect: Callable[..., Driver], meta: Any) -> None:
    page = _page(connect, "list_screenings", {"data": [{"id": "s1"}], "meta": meta})

    assert page.total_pages == 1
    assert page.meta.total_pages is None
    assert page.meta.total_count == (2 if isinstance(meta, dict) else None)


def test_list_that_is_null_is_empty(connect: Callable[..., Driver]) -> None:
    assert _page(connect, "list_screenings", {"data": None}).data == []
    assert _page(connect, "list_templates", {"data": None}) == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"data": {}},
        {"data": "none"},
        {"data": ["s1"]},
        {"data": [{"status": "completed"}]},
        {"data": [{"id": None}]},
        {"data": [{"id": {"of": "s1"}}]},
        {"data": [{"id": "c1", "screenings": [{"status": "completed"}]}]},
    ],
)
def test_envelope_and_ids_stay_strict(connect: Callable[..., Driver], document: Any) -> None:
    with pytest.raises(ResponseError, match="does not fit at data"):
        _page(connect, "list_candidates", document)


def test_odd_field_is_warned_of_once_without_its_value(caplog: pytest.LogCaptureFixture) -> None:
    """Once in a process: no other test may have these fields odd."""
    odd = {"id": "t1", "description": ["Ana Costa"], "question_count": "Jane Smith"}
    reply = httpx.Response(200, json={"data": [odd, {**odd, "id": "t2"}]})

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            templates = BlockingDriver(Service(reply)).call("list_templates")

    lines = [one.getMessage() for one in caplog.records if one.name == "pihupulse_provider.api.leniency"]
    assert [line.split()[4] for line in lines] == ["Template.description", "Template.question_count"]
    for text in (*lines, repr(templates), json.dumps([one.public() for one in templates])):
        assert "Ana" not in text
        assert "Jane" not in text


def test_what_is_given_is_left_as_it_is() -> None:
    document = {"id": "s1", "score": "n/a"}

    assert Screening.model_validate(document).score is None
    assert document == {"id": "s1", "score": "n/a"}


def test_what_is_sent_stays_strict() -> None:
    with pytest.raises(ValueError, match="phone"):
        NewCandidate.model_validate({"name": "Ana", "email": "ana@example.com", "phone": ["+1"]})


def test_everything_odd_at_once() -> None:
    odd = {"created_at": 1e300, "updated_at": {}, "skills": 7, "education": [None, {"year": []}], "screenings": ""}

    candidate = Candidate.model_validate({"id": 5, **odd})

    assert candidate.id == "5"
    assert {name: value for name, value in candidate.public().items() if value is not None} == {
        "id": "5",
        "education": [{"institution": None, "degree": None, "year": None}],
    }
