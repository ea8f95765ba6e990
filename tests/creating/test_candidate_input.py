"""What is refused before a request is spent, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pihupulse_provider.creating.candidate_input import FIELDS, check_candidate, email_key
from pihupulse_provider.creating.errors import InvalidCandidateError

GOOD = {"name": "Alex Johnson", "email": "alex.johnson@example.com"}


def problems(**fields):
    with pytest.raises(InvalidCandidateError) as caught:
        check_candidate({**GOOD, **fields})
    return {problem.field: problem.reason for problem in caught.value.problems}


def test_the_references_sample_passes_as_it_is():
    sample = {
        "name": "Alex Johnson",
        "email": "alex.johnson@example.com",
        "phone": "+1122334455",
        "resume_url": "https://example.com/resumes/alex_johnson.pdf",
    }
    assert check_candidate(sample).model_dump() == sample


def test_blanks_around_a_value_and_empty_values_go():
    made = check_candidate({"name": " Alex ", "email": " alex@example.com ", "phone": "  ", "resume_url": float("nan")})
    assert made.model_dump(exclude_none=True) == {"name": "Alex", "email": "alex@example.com"}


def test_every_problem_is_told():
    assert problems(name=None, email="alex", phone="none", resume_url="ftp://example.com").keys() == set(FIELDS)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "is missing"),
        ("name", "x" * 256, "longer than 255"),
        ("name", "Alex\nJohnson", "control character"),
        ("email", "alex@", "not an e-mail address"),
        ("email", "alex example.com", "not an e-mail address"),
        ("email", f"alex@{'x.' * 130}com", "not an e-mail address"),
        ("phone", "555 0100", "has no country code"),
        ("phone", "+1 555 0100 0100 0100", "too many digits"),
        ("phone", "call me", "not a phone number"),
        ("resume_url", "example.com/cv.pdf", "not an http:// or https:// address"),
        ("resume_url", "https://example.com/my cv.pdf", "holds a blank"),
    ],
)
def test_a_problem_is_told_plainly(field, value, said):
    assert said in problems(**{field: value})[field]


def test_a_region_gives_national_numbers_their_country():
    assert check_candidate({**GOOD, "phone": "(650) 253-0000"}, "US").phone == "+16502530000"
    assert check_candidate({**GOOD, "phone": "+44 20 7946 0958"}, "US").phone == "+44 20 7946 0958"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ana.Costa@Example.ORG", "ana.costa@example.org"),
        ("m@müller.de", "m@xn--mller-kva.de"),
        ("m@MÜLLER.de", "M@XN--MLLER-KVA.DE"),
        ("m@mu\u0308ller.de", "m@müller.de"),
        ("rene\u0301@example.org", "ren\u00e9@example.org"),
        ("RENÉ@example.org", "rene\u0301@example.org"),
        (" ana@example.org ", "ana@example.org"),
    ],
)
def test_two_spellings_of_one_address_are_one(one, other):
    assert email_key(one) == email_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("m@strasse.example", "m@straße.example"),
        ("strasse@example.org", "straße@example.org"),
        ("ana.costa@example.org", "anacosta@example.org"),
        ("ana+a@example.org", "ana+b@example.org"),
    ],
)
def test_two_addresses_that_look_alike_are_two(one, other):
    assert email_key(one) != email_key(other)


@given(st.text())
def test_any_text_has_an_address_key(text):
    assert email_key(email_key(text)) == email_key(text)


VALUES = st.text(st.characters(codec="utf-8"), max_size=60).map(lambda text: f"q9{text}7z")
"""Nothing that a message says anyway."""


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_no_message_tells_the_value(fields):
    told = ""
    try:
        check_candidate(fields)
    except InvalidCandidateError as error:
        told = str(error)
    assert not [value for value in fields.values() if value in told]
