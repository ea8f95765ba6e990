"""How a user may name screenings."""

from __future__ import annotations

import json

import pytest

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.sensors.screening import read_screenings

FILES = {
    "/results.jsonl": [
        json.dumps({"row": 1, "status": "created", "id": "s1", "candidate_id": "c1"}),
        json.dumps({"row": 2, "status": "rejected", "id": None}),
        json.dumps({"row": 3, "status": "created", "id": "s3"}),
    ],
    "s3://bucket/outcomes.jsonl": [json.dumps({"screening_id": "s9", "candidate_id": "c9", "status": "pending"})],
    "/broken.jsonl": ["s1,created"],
}


def read(value, candidates=None):
    return read_screenings(value, candidates, FILES.__getitem__)


@pytest.mark.parametrize(
    ("value", "screenings"),
    [
        ("s1", {"s1": None}),
        (["s2", "s1", "s2"], {"s2": None, "s1": None}),
        (67890, {"67890": None}),
        ({"id": "s1", "candidate_id": "c1", "status": "pending"}, {"s1": "c1"}),
        ({"screening_id": "s1", "candidate_id": "c1"}, {"s1": "c1"}),
        (({"id": one} for one in ("s1", "s2")), {"s1": None, "s2": None}),
        ("/results.jsonl", {"s1": "c1", "s3": None}),
        ({"rows": 3, "results_path": "/results.jsonl"}, {"s1": "c1", "s3": None}),
        (["s3://bucket/outcomes.jsonl", "s1"], {"s9": "c9", "s1": None}),
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


@pytest.mark.parametrize("value", [None, "", [None], {}, {"id": ""}, [["s1"]], True, ".."])
def test_what_is_no_id_is_refused(value):
    with pytest.raises(ConfigurationError, match="screening_ids"):
        read(value)


def test_a_file_of_something_else_is_refused_with_its_line():
    with pytest.raises(ConfigurationError, match=r"Line 1 of /broken\.jsonl"):
        read("/broken.jsonl")
