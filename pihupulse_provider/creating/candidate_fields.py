"""The values of a candidate's fields: cleaned of what spreadsheets add, and what is wrong with them.

The libraries take long to import, so they are where they are used: a DAG file imports this module too.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.creating.cell_text import cell_text

if TYPE_CHECKING:
    from pydantic import AnyHttpUrl, TypeAdapter

MAX_LENGTHS = {"name": 255, "phone": 50, "resume_url": 2083}
"""Characters; an e-mail address has a limit of its own (254, RFC 5321)."""
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


def region_of(region: str | None) -> str | None:
    """Return a country's code, or None. :raises ConfigurationError: if it can't be one."""
    code = (region or "").strip().upper()
    code = "GB" if code == "UK" else code
    if code and not _REGION.fullmatch(code):
        raise ConfigurationError(
            f"phone_region is {region!r}: give the two letters of ISO 3166, such as US, or DE for Germany."
        )
    return code or None


def check_supported(region: str | None) -> None:
    """Check that there is such a country. :raises ConfigurationError: if there is not."""
    if region is None:
        return
    import phonenumbers

    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ConfigurationError(f"phone_region is {region!r}, which is no country of ISO 3166; write DE for Germany.")


def cleaned(field: str, text: str) -> str | None:
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


def problem_of(field: str, value: str, region: str | None, *, allow_special_domains: bool) -> str | None:
    """Return what is wrong with a clean value, as in "is not a phone number"; None if it can be sent."""
    if (limit := MAX_LENGTHS.get(field)) and len(value) > limit:
        return f"is longer than {limit} characters"
    if field == "email":
        return _check_email(value, allow_special_domains=allow_special_domains)
    if field == "phone":
        return _check_phone(value, region)
    return _check_url(value) if field == "resume_url" else None


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
        hint = "; an import with allow_special_domains takes it" if "special-use" in reason else ""
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
            return "has no country code: begin it with +, or set the phone_region of an import"
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


def with_country(value: str, region: str | None) -> str:
    """Return a phone number that has no problem with the code of its country."""
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
