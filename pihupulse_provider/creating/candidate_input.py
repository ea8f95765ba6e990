"""The candidate that a row makes, or what is wrong with it, before a request is spent on it.

The reference names the fields (API reference, "Create Candidate") but no limits: only what no service can use is
refused, and what is sent is what was given, less spaces, invisible marks and what spreadsheets add. No message holds
the value. The model and the libraries take long to import, so they are where they are used: a DAG file imports this
module too.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.creating.cell_text import Joined, NotTextError, cell_text
from pihupulse_provider.creating.errors import InvalidCandidateError, Problem, SourceFormatError

if TYPE_CHECKING:
    from pydantic import AnyHttpUrl, TypeAdapter

    from pihupulse_provider.api.models import NewCandidate

FIELDS = ("name", "email", "phone", "resume_url")
"""The fields of ``NewCandidate``."""
REQUIRED = ("name", "email")
MAX_LENGTHS = {"name": 255, "phone": 50, "resume_url": 2083}
"""Characters; an e-mail address has a limit of its own (254, RFC 5321)."""

_SHOWN = 20
"""Columns that a message names at most."""
_REGION = re.compile(r"[A-Z]{2}")
_NEUTRALISED = re.compile(r"'\s*(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
_FORMULA_OF_TEXT = re.compile(r'="([^"]*)"')
"""What keeps a spreadsheet from making a number of a text."""
_PHONE_PREFIX = re.compile(r"^['\u2018\u2019`\u00b4]*\s*(tel:\s*)?", re.IGNORECASE)
_MAIL_PREFIX = re.compile(r"^mailto:\s*", re.IGNORECASE)
_PLAIN_EMAIL = re.compile(
    r"(?=.{1,64}@)[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9](?:-?[a-z0-9]){0,30}\.)+[a-z]{2,24}",
    re.ASCII | re.IGNORECASE,
)
"""Addresses that the library takes for sure: nearly all there are, and it needs 100 µs for each."""
_JOINERS = re.compile(r"[\u200c\u200d]")
_PHONE_BEGINS = re.compile(r"[+\uff0b(\[]*\s*\d")
_CUT_OFF = re.compile(r"\u2026|\.\.|/\s*\d{1,2}\s*$")
"""The end of a number is missing, or it has two: ``0301234567/8`` is that and ``0301234568``."""
_WHOLE_NUMBER = re.compile(r"(\+?\d{5,})\.00?")
_LOST_DIGITS = re.compile(r"\d+([.,]\d+)?E\+?\d+|\d{7,}\.\d", re.IGNORECASE)
_VALUE_BEGINS = re.compile(r"\s*[:(]")


class CandidateInput:
    """Makes candidates out of rows.

    :param field_map: from each field (``name``, ``email``, ``phone``, ``resume_url``) to its column, or to several
        columns whose values are joined with a space. A field that is not named has the column of its own name. Upper
        and lower case are alike where that leaves one column.
    :param phone_region: the country (ISO 3166, such as ``US``) of phone numbers without a country code.
    :param drop_invalid_optional: whether to leave out a phone number or résumé link that can't be used.
    :param allow_special_domains: whether to take e-mail addresses of ``.test``, ``.local`` or a name without a dot.
    :ivar left_out: of how many rows each optional field was left out.
    :raises ConfigurationError: if there is no such field or no such country.
    """

    def __init__(
        self,
        field_map: Mapping[str, str | Sequence[str]] | None = None,
        *,
        phone_region: str | None = None,
        drop_invalid_optional: bool = False,
        allow_special_domains: bool = False,
    ) -> None:
        field_map = field_map or {}
        if unknown := sorted(set(field_map) - set(FIELDS)):
            raise ConfigurationError(
                f"field_map names {', '.join(unknown)}: a candidate has the fields {', '.join(FIELDS)}. "
                "Write it as {field: column}."
            )
        named = {field: [column] if isinstance(column, str) else list(column) for field, column in field_map.items()}
        self._columns = {field: named.get(field, [field]) for field in FIELDS}
        self._needed = {field for field in FIELDS if field in named or field in REQUIRED}
        self._region = _region(phone_region)
        self._drop = drop_invalid_optional
        self.left_out: Counter[str] = Counter()
        self._checks: dict[str, Callable[[str], str | None]] = {
            "name": lambda _: None,
            "email": lambda value: _check_email(value, allow_special_domains=allow_special_domains),
            "phone": lambda value: _check_phone(value, self._region),
            "resume_url": _check_url,
        }

    @property
    def columns(self) -> dict[str, list[str]]:
        """Return the columns of each field that every source must have."""
        return {field: columns for field, columns in self._columns.items() if field in self._needed}

    def check_columns(self, columns: Sequence[str] | None, *, has_schema: bool = False) -> None:
        """Check that a source has the columns, each once.

        :param columns: None where each row names its own.
        :param has_schema: whether these are columns for certain: a file without a header has a person in their place.
        :raises SourceFormatError: naming those it lacks, and those it has if they are columns for certain.
        :raises ConfigurationError: if there is no such country as ``phone_region``.
        """
        _check_supported(self._region)
        if columns is None:
            return
        found = {column: _matching(columns, column) for field in FIELDS for column in self._columns[field]}
        if missing := [column for needed in self.columns.values() for column in needed if not found[column]]:
            has = f"It has {_quoted(columns[:_SHOWN])}" if has_schema else f"The first line names {len(columns)} others"
            raise SourceFormatError(f"The source has no column {_quoted(missing)}. {has}: say which in field_map.")
        if repeated := [column for column, matches in found.items() if len(matches) > 1]:
            raise SourceFormatError(f"The source names the column {_quoted(repeated)} twice: give each its own name.")

    def read(self, row: Mapping[str, Any]) -> NewCandidate:
        """Return the candidate that a row makes.

        :raises InvalidCandidateError: naming everything that is wrong.
        """
        from pihupulse_provider.api.models import NewCandidate

        values: dict[str, str] = {}
        problems: list[Problem] = []
        for field, columns in self._columns.items():
            try:
                value = self._field(field, [_value(row, column) for column in columns])
            except NotTextError as error:
                if field in REQUIRED or not self._drop:
                    problems.append(Problem(field, str(error)))
                else:
                    self.left_out[field] += 1
                continue
            if value is not None:
                values[field] = value
            elif field in REQUIRED:
                problems.append(Problem(field, "is missing"))
        if problems:
            raise InvalidCandidateError(problems)
        return NewCandidate(**values)

    def _field(self, field: str, cells: Sequence[Any]) -> str | None:
        text = cell_text(cells[0] if len(cells) == 1 else Joined(cells))
        value = _cleaned(field, text) if text is not None else None
        if value is None:
            return None
        if (limit := MAX_LENGTHS.get(field)) and len(value) > limit:
            raise NotTextError(f"is longer than {limit} characters")
        if reason := self._checks[field](value):
            raise NotTextError(reason)
        return _with_country(value, self._region) if field == "phone" else value


def email_key(email: str) -> str:
    """Return an e-mail address as it is compared, which is how mail systems do.

    Domains are equal if IDNA 2008 (RFC 5891, UTS 46 without its transitional mapping) makes them the same name; local
    parts if they are in NFC and lower case. ``straße`` and ``strasse`` are two names, also to the left of the ``@``.
    """
    local, at, domain = email.strip().rpartition("@")
    if not local.isascii():
        local = unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).lower())
    return f"{local.lower()}{at}{_domain_key(domain)}"


def _domain_key(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    import idna

    try:
        return idna.encode(domain, uts46=True).decode().lower()
    except idna.IDNAError:
        return unicodedata.normalize("NFC", domain).lower()


def _matching(columns: Iterable[Any], wanted: str) -> list[str]:
    """Return the columns of that name; those that differ in case only if there is none."""
    names = [column for column in columns if isinstance(column, str)]
    exact = [name for name in names if name == wanted]
    return exact or [name for name in names if name.strip().casefold() == wanted.strip().casefold()]


def _value(row: Mapping[str, Any], column: str) -> Any:
    if column in row:
        return row[column]
    matches = _matching(row, column)
    return row[matches[0]] if len(matches) == 1 else None


def _quoted(columns: Iterable[str]) -> str:
    return ", ".join(map(repr, columns))


def _region(region: str | None) -> str | None:
    code = (region or "").strip().upper()
    code = "GB" if code == "UK" else code
    if code and not _REGION.fullmatch(code):
        raise ConfigurationError(
            f"phone_region is {region!r}: give the two letters of ISO 3166, such as US, or DE for Germany."
        )
    return code or None


def _check_supported(region: str | None) -> None:
    if region is None:
        return
    import phonenumbers

    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ConfigurationError(f"phone_region is {region!r}, which is no country of ISO 3166; write DE for Germany.")


def _cleaned(field: str, text: str) -> str | None:
    """Return a value without what spreadsheets and address books put around it."""
    formula = _FORMULA_OF_TEXT.fullmatch(text) if text.startswith("=") else None
    value = cell_text(formula[1]) if formula else text
    if value is None:
        return None
    value = _NEUTRALISED.sub("", value, count=1) if value.startswith("'") else value
    if field == "name":
        return value
    if not value.isascii():
        value = _JOINERS.sub("", value)
    if field == "email":
        return _MAIL_PREFIX.sub("", value, count=1)
    if field == "phone":
        value = _PHONE_PREFIX.sub("", value, count=1)
        whole = _WHOLE_NUMBER.fullmatch(value)
        return whole[1] if whole else value or None
    return value


def _check_email(value: str, *, allow_special_domains: bool) -> str | None:
    from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

    if len(value) > 320:
        return "is not an e-mail address (it is too long)"
    _, dot, top = value.rpartition("@")[2].lower().rpartition(".")
    is_special = not dot or top in SPECIAL_USE_DOMAIN_NAMES
    if not is_special and len(value) <= 254 and _PLAIN_EMAIL.fullmatch(value):
        return None
    if allow_special_domains and is_special:
        value += ".example.com"  # the library has no switch for this, and all other rules are to hold
    try:
        validate_email(value, check_deliverability=False)
    except EmailNotValidError as error:
        reason = _VALUE_BEGINS.split(str(error))[0].rstrip(".")
        hint = "; allow_special_domains takes it" if "special-use" in reason else ""
        return f"is not an e-mail address ({reason}{hint})"
    return None


def _check_phone(value: str, region: str | None) -> str | None:
    import phonenumbers

    if _LOST_DIGITS.fullmatch(value) or _CUT_OFF.search(value):
        return "is a number that has lost digits, in a spreadsheet or where it was cut off, or is two: give it as text"
    if not _PHONE_BEGINS.match(value):  # the library looks for a number behind whatever there is
        return "is not a phone number"
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and not value.startswith("+"):
            return "has no country code: begin it with + or set phone_region"
        return "is not a phone number"
    if any(map(str.isalpha, value)) and str(number.national_number) not in phonenumbers.normalize_digits_only(value):
        return "holds letters, of which a telephone makes digits"
    too_long = phonenumbers.ValidationResult.TOO_LONG
    return "has too many digits" if phonenumbers.is_possible_number_with_reason(number) == too_long else None


def _check_url(value: str) -> str | None:
    from pydantic import ValidationError

    try:
        _url_adapter().validate_python(value)
    except ValidationError:
        return "is not an http:// or https:// address"
    return "holds a space: write it as %20" if " " in value else None


def _with_country(value: str, region: str | None) -> str:
    if region is None or value.startswith("+"):
        return value
    import phonenumbers

    number = phonenumbers.parse(value, region)
    # E.164 has no place for an extension.
    form = phonenumbers.PhoneNumberFormat.INTERNATIONAL if number.extension else phonenumbers.PhoneNumberFormat.E164
    return phonenumbers.format_number(number, form)


@cache
def _url_adapter() -> TypeAdapter[AnyHttpUrl]:
    from pydantic import AnyHttpUrl, TypeAdapter

    return TypeAdapter(AnyHttpUrl)
