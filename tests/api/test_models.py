"""The models read leniently, and tell what is personal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from pihupulse_provider.api import Candidate, NewCandidate, Report, Screening, Template
from tests.api import reference

PERSONAL = {"John Doe", "john.doe@example.com", "+1234567890", "storage.pihupulse.com", "John demonstrated"}
JOHN = Candidate.model_validate(reference.GET_CANDIDATE["data"])
REPORT = Report.model_validate(reference.GET_REPORT["data"])


@pytest.mark.parametrize("model", [JOHN, REPORT], ids=["candidate", "report"])
def test_public_and_repr_hold_nothing_personal(model: Candidate | Report) -> None:
    for text in (json.dumps(model.public()), repr(model), str(model)):
        assert not [value for value in PERSONAL if value in text]


def test_public_holds_every_other_documented_field() -> None:
    expected = {k: v for k, v in reference.GET_CANDIDATE["data"].items() if k not in Candidate.personal_fields()}

    assert JOHN.public() == expected


def test_unknown_fields_are_kept_but_not_public() -> None:
    """What the reference does not describe may be personal, in whatever depth it comes."""
    document = {"id": "c1", "nickname": "Jo", "screenings": [{"id": "s1", "candidate_name": "John Doe"}]}
    candidate = Candidate.model_validate(document)

    assert candidate.document() == document
    assert "Jo" not in json.dumps(candidate.public()) + repr(candidate)


@pytest.mark.parametrize("model", [Candidate, Screening, Template])
def test_only_the_id_is_needed(model: type[Any]) -> None:
    item = model.model_validate({"id": "x1"})

    assert item.id == "x1"
    assert item.document() == {"id": "x1"}


def test_number_as_id_becomes_text() -> None:
    assert Screening.model_validate({"id": 7, "candidate_id": 12}).candidate_id == "12"


def test_a_score_that_airflow_cannot_carry_is_a_float() -> None:
    score = Screening.model_validate({"id": "s1", "score": 10**30}).score
    assert isinstance(score, float)
    assert score == 1e30


def test_any_status_is_kept() -> None:
    assert Screening.model_validate({"id": "s1", "status": "on_hold"}).status == "on_hold"


def test_time_without_a_zone_is_utc() -> None:
    candidate = Candidate.model_validate({"id": "c1", "created_at": "2023-01-15T10:30:00"})

    assert candidate.public()["created_at"] == "2023-01-15T10:30:00Z"


def test_new_candidate_refuses_misspelt_fields_without_repeating_values() -> None:
    with pytest.raises(ValidationError, match="e_mail") as caught:
        NewCandidate(name="John Doe", email="john.doe@example.com", e_mail="john.doe@example.com")  # type: ignore[call-arg]

    assert "john.doe" not in str(caught.value)
    assert "John" not in repr(NewCandidate(name="John Doe", email="john.doe@example.com"))
