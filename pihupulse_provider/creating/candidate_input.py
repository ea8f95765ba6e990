"""What is wrong with a candidate, before a request is spent on it.

The reference names the fields (API reference, "Create Candidate") but no limits: only what no service can use is
refused, and what is sent is what was given, less blanks around it. No message holds the value. The two libraries
take 60 ms to import, so they are only where they are used: a DAG file imports this module too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import AnyHttpUrl, TypeAdapter, ValidationError

from pihupulse_provider.api.models import NewCandidate
from pihupulse_provider.creating.errors import InvalidCandidateError, Problem
from pihupulse_provider.creating.field_map import FIELDS, REQUIRED

MAX_LENGTHS = {"name": 255, "phone": 50, "resume_url": 2083}
"""Characters; an e-mail address has a limit of its own (254, RFC 5321)."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_VALUE_BEGINS = re.compile(r"\s*[:(]")


def check_candidate(fields: Mapping[str, Any], phone_region: str | None = None) -> NewCandidate:
    """Return the candidate that these fields make.

    :param phone_region: the country (ISO 3166, such as ``US``) of phone numbers without a country code.
    :raises InvalidCandidateError: naming everything that is wrong.
    """
    values = {name: _text(fields.get(name)) for name in FIELDS}
    problems = [Problem(name, "is missing") for name in REQUIRED if values[name] is None]
    for name, value in values.items():
        if value is None:
            continue
        if (limit := MAX_LENGTHS.get(name)) and len(value) > limit:
            problems.append(Problem(name, f"is longer than {limit} characters"))
        elif _CONTROL.search(value):
            problems.append(Problem(name, "holds a control character, such as a line break"))
        elif reason := _CHECKS[name](value, phone_region):
            problems.append(Problem(name, reason))
    if problems:
        raise InvalidCandidateError(problems)
    if values["phone"] is not None:
        values["phone"] = _with_country(values["phone"], phone_region)
    return NewCandidate(**{name: value for name, value in values.items() if value is not None})


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


def _text(value: Any) -> str | None:
    if value is None or value != value:  # noqa: PLR0124 - only NaN, a missing number, differs from itself
        return None
    return str(value).strip() or None


def _check_name(_value: str, _region: str | None) -> str | None:
    return None


def _check_email(value: str, _region: str | None) -> str | None:
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(value, check_deliverability=False)
    except EmailNotValidError as error:
        return f"is not an e-mail address ({_VALUE_BEGINS.split(str(error))[0].rstrip('.')})"
    return None


def _check_phone(value: str, region: str | None) -> str | None:
    import phonenumbers

    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and not value.startswith("+"):
            return "has no country code: begin it with + or set phone_region"
        return "is not a phone number"
    too_long = phonenumbers.ValidationResult.TOO_LONG
    return "has too many digits" if phonenumbers.is_possible_number_with_reason(number) == too_long else None


def _check_url(value: str, _region: str | None) -> str | None:
    try:
        _url_adapter().validate_python(value)
    except ValidationError:
        return "is not an http:// or https:// address"
    return "holds a blank: write it as %20" if " " in value else None


_CHECKS = {"name": _check_name, "email": _check_email, "phone": _check_phone, "resume_url": _check_url}


def _with_country(value: str, region: str | None) -> str:
    if region is None or value.startswith("+"):
        return value
    import phonenumbers

    number = phonenumbers.parse(value, region)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@cache
def _url_adapter() -> TypeAdapter[AnyHttpUrl]:
    return TypeAdapter(AnyHttpUrl)
