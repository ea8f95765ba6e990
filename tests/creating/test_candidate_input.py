"""What is refused before a request is spent, and what is not."""

from __future__ import annotations

import contextlib
import enum
from decimal import Decimal

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from pihupulse_provider.api import ConfigurationError, NewCandidate
from pihupulse_provider.creating.candidate_input import FIELDS, REQUIRED, CandidateInput, email_key
from pihupulse_provider.creating.errors import InvalidCandidateError, SourceFormatError

GOOD = {"name": "Alex Johnson", "email": "alex.johnson@example.com"}


def check_candidate(fields, phone_region=None, **options):
    return CandidateInput(phone_region=phone_region, **options).read(fields)


def made(field, value, **options):
    return getattr(check_candidate({**GOOD, field: value}, **options), field)


def problems(phone_region=None, **fields):
    with pytest.raises(InvalidCandidateError) as caught:
        check_candidate({**GOOD, **fields}, phone_region)
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
    candidate = check_candidate(
        {"name": " Alex ", "email": " alex@example.com ", "phone": "  ", "resume_url": float("nan")}
    )
    assert candidate.model_dump(exclude_none=True) == {"name": "Alex", "email": "alex@example.com"}


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
        ("phone", "555 0100", "has no country code: begin it with +, or set the phone_region of an import"),
        ("phone", "+1 555 0100 0100 0100", "too many digits"),
        ("phone", "call me", "not a phone number"),
        ("resume_url", "example.com/cv.pdf", "not an http:// or https:// address"),
        ("resume_url", "https://example.com/my cv.pdf", "holds a space"),
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


def test_the_fields_are_those_that_a_new_candidate_has():
    fields = NewCandidate.model_fields
    assert tuple(fields) == FIELDS
    assert tuple(name for name, field in fields.items() if field.is_required()) == REQUIRED


class TestNumbers:
    @pytest.mark.parametrize(
        "value", [301234567.0, 301234567, Decimal(301234567), Decimal("301234567.00"), "301234567.0", "301234567.00"]
    )
    def test_a_whole_number_is_read_as_it_is_meant(self, value):
        assert made("phone", value, phone_region="DE") == "+49301234567"

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (301234567.5, "fraction"),
            (Decimal("301234567.5"), "fraction"),
            (3.5e15 * 10, "too large"),
            (float("inf"), "too large"),
            (Decimal("-Infinity"), "too many digits"),
            (Decimal("1E+5000"), "too many digits"),
            pytest.param(10**5000, "too many digits", id="10**5000"),
            (1j, "not text"),
            ("3.01235E+11", "lost digits"),
            ("3,01235E+11", "lost digits"),
            ("301234567.5", "lost digits"),
        ],
    )
    def test_what_would_invent_a_digit_is_refused(self, value, said):
        assert said in problems("DE", phone=value)["phone"]

    def test_a_number_with_points_between_its_groups_is_a_phone_number(self):
        assert made("phone", "650.253.0000", phone_region="US") == "+16502530000"

    def test_an_extension_is_kept(self):
        assert made("phone", "(650) 253-0000 ext 5", phone_region="US") == "+1 650-253-0000 ext. 5"

    def test_a_name_may_be_a_number(self):
        assert made("name", 42) == "42"

    @pytest.mark.parametrize("value", [float("nan"), Decimal("NaN"), Decimal("sNaN")])
    def test_nan_is_nothing(self, value):
        assert made("phone", value) is None
        assert problems(name=value) == {"name": "is missing"}


class Team(str, enum.Enum):  # noqa: UP042 - such as there are
    RED = "Red Team"


class TestWhatIsText:
    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (["Ana", "Costa"], "is a list, not text"),
            (("Ana",), "is a list, not text"),
            ({"first": "Ana"}, "is an object, not text"),
            (True, "is true or false, not text"),
            (False, "is true or false, not text"),
            (object(), "is a object, not text"),
            (b"\xff\xfe", "bytes that are not UTF-8"),
            ("\ud83d", "half a character"),
            ("Ana \ude00", "half a character"),
            ("Ana\x00", "control character"),
        ],
    )
    def test_what_is_no_text_is_refused(self, value, said):
        assert problems(name=value, phone=value, resume_url=value) == dict.fromkeys(
            ("name", "phone", "resume_url"), problems(name=value)["name"]
        )
        assert said in problems(name=value)["name"]

    @pytest.mark.parametrize("value", [b"\xc3\x85sa", bytearray(b"\xc3\x85sa"), memoryview(b"\xc3\x85sa")])
    def test_bytes_are_decoded(self, value):
        assert made("name", value) == "Åsa"

    def test_a_text_of_a_class_of_its_own_is_its_text(self):
        assert made("name", Team.RED) == "Red Team"

    @pytest.mark.parametrize(
        ("field", "value", "is_made"),
        [
            ("name", "\ufeffAna\u200b Costa\u00a0", "Ana Costa"),
            ("name", "Ana\u00a0Costa", "Ana Costa"),
            ("name", "\u202eAna\u202c", "Ana"),
            (
                "name",
                "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
                "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            ),
            ("name", "'t Hooft", "'t Hooft"),
            ("name", "'=Ana", "=Ana"),
            ("name", "' =Ana", "=Ana"),
            ("name", "'\uff1dAna", "\uff1dAna"),
            ("name", '="Ana"', "Ana"),
            ("name", "👩\u200d🔬", "👩\u200d🔬"),
            ("email", "\u200bana@example.org\u200d", "ana@example.org"),
            ("email", "mailto:ana@example.org", "ana@example.org"),
            ("phone", "'+15417543010", "+15417543010"),
            ("phone", '="+15417543010"', "+15417543010"),
            ("phone", '=""', None),
            ("phone", "\u2019+15417543010", "+15417543010"),
            ("phone", "tel:+1-541-754-3010", "+1-541-754-3010"),
            ("phone", "TEL: +15417543010", "+15417543010"),
            ("phone", "\u202a+15417543010\u202c", "+15417543010"),
            ("phone", "+1\u00a0541\u202f7543010", "+1 541 7543010"),
            ("phone", "'", None),
            ("phone", "\u200b", None),
        ],
    )
    def test_what_spreadsheets_and_address_books_add_goes(self, field, value, is_made):
        assert made(field, value) == is_made

    @pytest.mark.parametrize(
        "value",
        [
            "030 12345 home",
            "0301234567 abc",
            "030 12345 Tel",
            "1-800-FLOWERS",
            "0301234567/8",
            "+1541\u2026",
            "+1541...",
        ],
    )
    def test_no_digit_is_made_of_letters_and_none_is_left_out(self, value):
        with pytest.raises(InvalidCandidateError, match=r"holds letters|has lost digits"):
            CandidateInput(phone_region="DE").read({"name": "Ana", "email": "ana@example.org", "phone": value})

    @pytest.mark.parametrize(
        "value", ["030/1234567", "030 1234567 ext. 12", "\u0660\u0663\u0660 1234567", "0049 30 1234567"]
    )
    def test_what_else_is_between_digits_does_no_harm(self, value):
        read = CandidateInput(phone_region="DE").read({"name": "Ana", "email": "ana@example.org", "phone": value})
        assert read.phone.replace(" ", "").startswith("+49301234567")

    def test_a_country_whose_numbers_are_written_otherwise_than_they_are_dialled(self):
        row = {"name": "Ana", "email": "ana@example.org", "phone": "011 15-3456-7890"}
        assert CandidateInput(phone_region="AR").read(row).phone == "+5491134567890"

    @pytest.mark.parametrize("region", [None, "DE"])
    @pytest.mark.parametrize("value", ["=+15417543010", '=HYPERLINK("+15417543010")', "abc+15417543010", -301234567])
    def test_a_number_behind_something_else_is_no_phone_number(self, value, region):
        with pytest.raises(InvalidCandidateError, match="phone is not a phone number"):
            CandidateInput(phone_region=region).read({"name": "Ana", "email": "ana@example.org", "phone": value})


class TestFieldMap:
    JOINED = CandidateInput({"name": ["first", "middle", "last"]})

    @pytest.mark.parametrize("middle", [None, float("nan"), "", "  ", "\u200b", Decimal("NaN")])
    def test_a_missing_part_leaves_no_trace(self, middle):
        row = {"first": "Ana ", "middle": middle, "last": " Costa", "email": "ana@example.org"}
        assert self.JOINED.read(row).name == "Ana Costa"

    @pytest.mark.parametrize("middle", [True, ["B"], b"\xff", "\ud83d", pytest.param(10**5000, id="10**5000")])
    def test_a_part_that_is_no_text_is_refused(self, middle):
        with pytest.raises(InvalidCandidateError, match="name"):
            self.JOINED.read({"first": "Ana", "middle": middle, "last": "Costa", "email": "ana@example.org"})

    def test_no_part_is_a_missing_name(self):
        with pytest.raises(InvalidCandidateError, match="name is missing"):
            self.JOINED.read({"email": "ana@example.org"})

    def test_columns_in_another_case_are_meant(self):
        source = CandidateInput({"phone": "Mobile"})
        source.check_columns(["NAME", "Email ", "MOBILE"])
        row = {"NAME": "Ana", "Email ": "ana@example.org", "MOBILE": "+15417543010"}
        assert source.read(row).model_dump(exclude_none=True) == {
            "name": "Ana",
            "email": "ana@example.org",
            "phone": "+15417543010",
        }

    def test_a_column_in_the_same_case_goes_first(self):
        source = CandidateInput()
        source.check_columns(["name", "NAME", "email"])
        assert source.read({"NAME": "ANA", "name": "Ana", "email": "ana@example.org"}).name == "Ana"

    @pytest.mark.parametrize(
        "columns", [["name", "email", "email"], ["NAME", "Name", "email"], ["name", "email", "phone", "phone"]]
    )
    def test_a_column_that_is_needed_must_be_there_once(self, columns):
        with pytest.raises(SourceFormatError, match="twice"):
            CandidateInput().check_columns(columns)

    def test_the_columns_are_shown_only_where_none_of_them_can_be_a_person(self):
        with pytest.raises(SourceFormatError, match=r"no column 'name'\. It has 'full_name', 'email'"):
            CandidateInput().check_columns(["full_name", "email"], has_schema=True)
        with pytest.raises(SourceFormatError, match=r"no column 'name', 'email'\. ") as caught:
            CandidateInput().check_columns(["Ana Costa", "ana@example.org"])
        assert "Ana" not in str(caught.value)

    def test_a_row_that_names_a_column_twice_in_another_case_is_rejected(self):
        """Where each row names its own columns, as in JSON Lines: nobody loses their phone number unseen."""
        row = {"name": "Ana", "email": "ana@example.org", "Phone": "+15417543010", "PHONE": "+15417543011"}
        with pytest.raises(InvalidCandidateError, match="phone is there twice, in columns that differ in case"):
            CandidateInput().read(row)

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            (
                [{"Full name": "Ana", "Mail": "ana@example.org"}, {"Full name": "Bo", "Mail": "bo@example.org"}],
                (
                    """No row has a column 'name' or 'email'. Say in field_map which column each field is in, """
                    """such as {"email": "E-mail address"}; the rows have 'Full name', 'Mail'"""
                ),
            ),
            ([{"NAME": "Ana", "Mail": "ana@example.org"}], "No row has a column 'email'. "),
            ([{"ana@example.org": "Ana"}, {"ana@example.org": "Ana"}], "No row has a column 'name' or 'email'. "),
            ([{"Ana Costa": "ana@example.org"}, {"Bo Diaz": "bo@example.org"}], "No row has a column 'name' or"),
            ([{"name": None, "email": None}], ""),
            ([{"name": "Ana"}, {"email": "no address"}], ""),
        ],
    )
    def test_a_column_that_no_row_has_is_told_with_those_that_many_rows_have(self, rows, said):
        """Only what at least two rows and half of them have can't be a person."""
        source = CandidateInput()
        source.check_columns(None)
        for row in rows:
            with pytest.raises(InvalidCandidateError):
                source.read(row)
        assert source.missing_columns().startswith(said)
        assert bool(source.missing_columns()) == bool(said)
        assert "ana" not in source.missing_columns().casefold()

    def test_the_columns_of_field_map_are_told_if_no_row_has_one(self):
        source = CandidateInput({"name": ["first", "last"], "email": "mail"})
        source.check_columns(None)
        with pytest.raises(InvalidCandidateError):
            source.read({"last": "Costa", "Mail 2": "ana@example.org"})
        assert source.missing_columns().startswith("No row has a column 'mail'. ")

    def test_columns_that_are_not_needed_may_repeat(self):
        CandidateInput().check_columns(["name", "email", "note", "note", "", ""])


class TestPhoneRegion:
    @pytest.mark.parametrize(
        ("region", "phone"), [("us", "+16502530000"), (" US ", "+16502530000"), ("uk", "+446502530000")]
    )
    def test_what_is_plainly_meant_is_taken(self, region, phone):
        assert made("phone", "6502530000", phone_region=region) == phone

    @pytest.mark.parametrize("region", ["Germany", "D", "DEU", "+49"])
    def test_anything_else_is_a_sentence_where_the_dag_is_written(self, region):
        with pytest.raises(ConfigurationError, match="two letters of ISO 3166"):
            CandidateInput(phone_region=region)

    def test_a_country_that_there_is_not_is_told_before_the_first_row(self):
        for columns in (["name", "email"], None):
            with pytest.raises(ConfigurationError, match="no country"):
                CandidateInput(phone_region="XX").check_columns(columns)


@pytest.mark.parametrize("value", ["N/A", "-", "none", True, ["+15417543010"], "\ud83d", 3.5])
def test_an_optional_field_that_is_invalid_can_be_left_out_so_that_the_person_stays(value):
    candidate = check_candidate({**GOOD, "phone": value, "resume_url": value}, drop_invalid_optional=True)
    assert candidate.model_dump(exclude_none=True) == GOOD


def test_a_required_field_is_never_left_out():
    with pytest.raises(InvalidCandidateError):
        check_candidate({**GOOD, "email": "N/A"}, drop_invalid_optional=True)


@pytest.mark.parametrize("email", ["ana@example.test", "ana@printer.local", "ana@localhost", "ana@x.invalid"])
def test_domains_for_special_use_are_taken_by_an_option(email):
    assert made("email", email, allow_special_domains=True) == email
    assert "not an e-mail address" in problems(email=email)["email"]


@given(st.from_regex(r"[A-Za-z0-9_+.-]{1,9}@([A-Za-z0-9-]{1,9}\.){1,3}[A-Za-z]{1,5}", fullmatch=True))
def test_an_address_is_taken_if_the_library_takes_it(email):
    try:
        validate_email(email, check_deliverability=False)
    except EmailNotValidError:
        assert "not an e-mail address" in problems(email=email)["email"]
    else:
        assert made("email", email) == email


@pytest.mark.parametrize(
    "email",
    [
        f"{'a' * 65}@example.org",
        f"a@{'b' * 64}.org",
        f"{'a' * 60}@{'bcd.' * 60}org",
        "a@xn--80ak6aa92e.com",
        "a@-b.org",
        "a@b-.org",
        "a@ex--ample.org",
        "a..b@example.org",
        ".a@example.org",
        "a@b.123",
        "ana@\u017fite.org",
    ],
)
def test_an_unusual_address_is_taken_if_the_library_takes_it(email):
    test_an_address_is_taken_if_the_library_takes_it.hypothesis.inner_test(email)


def test_the_option_for_special_domains_is_named():
    assert "allow_special_domains" in problems(email="ana@example.test")["email"]


CELLS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.binary()
    | st.dates()
    | st.text(st.characters(), max_size=30),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)


@given(st.dictionaries(st.sampled_from(FIELDS), CELLS), st.sampled_from([None, "US", "DE"]), st.booleans())
def test_any_row_is_a_candidate_or_a_problem_of_its_own(row, region, drop):
    candidates = CandidateInput({"name": ["name", "phone"]}, phone_region=region, drop_invalid_optional=drop)
    with contextlib.suppress(InvalidCandidateError):
        candidate = candidates.read(row)
        NewCandidate.model_validate_json(candidate.model_dump_json())
        assert candidate.name == candidate.name.strip() != ""


VALUES = st.text(st.characters(codec="utf-8"), max_size=60).map(lambda text: f"q9{text}7z")
"""Nothing that a message says anyway."""


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_no_message_tells_the_value(fields):
    message = ""
    try:
        check_candidate(fields)
    except InvalidCandidateError as error:
        message = str(error)
    assert not [value for value in fields.values() if value in message]
