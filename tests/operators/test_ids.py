"""How a user may name screenings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.operators.ids import read_screenings

FILES = {
    "results.jsonl": [
        json.dumps({"row": 1, "status": "created", "id": "s1", "candidate_id": "c1"}),
        json.dumps({"row": 2, "status": "rejected", "id": None}),
        json.dumps({"row": 3, "status": "created", "id": "s3"}),
    ],
    "outcomes.jsonl": [json.dumps({"screening_id": "s9", "candidate_id": "c9", "status": "pending"})],
    "broken.jsonl": ["s1,created"],
    "latin1.jsonl": ['{"id": "s\u00e9"}'],
    "endless.jsonl": ["x" * 2**21],
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name, lines in FILES.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), "latin-1")
    monkeypatch.chdir(tmp_path)


def read(value, candidates=None):
    return read_screenings(value, candidates)


@pytest.mark.parametrize(
    ("value", "screenings"),
    [
        ("s1", {"s1": None}),
        (["s2", "s1", "s2"], {"s2": None, "s1": None}),
        (67890, {"67890": None}),
        ({"id": "s1", "candidate_id": "c1", "status": "pending"}, {"s1": "c1"}),
        ({"screening_id": "s1", "candidate_id": "c1"}, {"s1": "c1"}),
        (({"id": one} for one in ("s1", "s2")), {"s1": None, "s2": None}),
        ("./results.jsonl", {"s1": "c1", "s3": None}),
        ({"rows": 3, "results_path": "results.jsonl"}, {"s1": "c1", "s3": None}),
        (["./outcomes.jsonl", "s1"], {"s9": "c9", "s1": None}),
        ([], {}),
    ],
)
def test_screenings_are_named_by_id_object_or_file(value, screenings):
    assert list(read(value).items()) == list(screenings.items())


def test_candidates_belong_to_the_screenings_in_their_order():
    assert read(["s1", "s2"], ["c1", {"id": "c2"}]) == {"s1": "c1", "s2": "c2"}
    assert read("s1", "c1") == {"s1": "c1"}


def test_a_candidate_too_few_is_refused():
    with pytest.raises(ConfigurationError, match="1 candidates for 2 screenings"):
        read(["s1", "s2"], ["c1"])


def test_a_file_of_something_else_is_refused():
    """A wait over nothing would be over at once."""
    Path("people.jsonl").write_text('{"name": "Ana", "email": "ana@example.com"}')
    with pytest.raises(ConfigurationError, match=r"Line 1 of \./people\.jsonl has no id") as caught:
        read("./people.jsonl")
    assert "Ana" not in str(caught.value)


def test_a_summary_without_results_is_told_from_an_id():
    with pytest.raises(ConfigurationError, match="neither a results_path nor an id"):
        read({"rows": 3, "created": 3, "results_path": None})


@pytest.mark.parametrize("value", [None, "", [None], {}, {"id": ""}, [["s1"]], True, ".."])
def test_what_is_no_id_is_refused(value):
    with pytest.raises(ConfigurationError, match="screening_ids"):
        read(value)


@pytest.mark.parametrize(
    ("name", "reason"), [("broken", "is not JSON"), ("latin1", "is not text"), ("endless", "is longer than")]
)
def test_a_file_of_something_else_is_refused_with_its_line(name, reason):
    with pytest.raises(ConfigurationError, match=rf"Line 1 of \./{name}\.jsonl {reason}"):
        read(f"./{name}.jsonl")
