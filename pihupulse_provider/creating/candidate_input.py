"""The candidate that a row makes, or what is wrong with it, before a request is spent on it.

The reference names the fields (API reference, "Create Candidate") but no limits: only what no service can use is
refused, and what is sent is what was given, less spaces, invisible marks and what spreadsheets add. No message holds
the value. The model and the libraries take long to import, so they are where they are used: a DAG file imports this
module too.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.api.logs import counted
from pihupulse_provider.creating.candidate_fields import check_supported, cleaned, problem_of, region_of, with_country
from pihupulse_provider.creating.cell_text import Joined, NotTextError, cell_text
from pihupulse_provider.creating.errors import InvalidCandidateError, Problem, SourceFormatError

if TYPE_CHECKING:
    from pihupulse_provider.api.models import NewCandidate

FIELDS = ("name", "email", "phone", "resume_url")
"""The fields of ``NewCandidate``."""
REQUIRED = ("name", "email")
_SHOWN = 20
"""Columns that a message names at most."""
_COUNTED = 1000
"""Rows of which it is known which columns they have, while a required one was in none."""
_LONGEST_COLUMN = 60
"""Characters of a name that is shown: a longer one is no column's."""


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
        if not isinstance(field_map, Mapping):
            raise ConfigurationError(f"field_map is a {type(field_map).__name__}: write it as {{field: column}}.")
        if unknown := sorted(set(field_map) - set(FIELDS)):
            raise ConfigurationError(
                f"field_map names {', '.join(unknown)}: a candidate has the fields {', '.join(FIELDS)}. "
                "Write it as {field: column}."
            )
        named = {field: [column] if isinstance(column, str) else list(column) for field, column in field_map.items()}
        self._columns = {field: named.get(field, [field]) for field in FIELDS}
        self._named = {column for columns in named.values() for column in columns}
        self._needed = {field for field in FIELDS if field in named or field in REQUIRED}
        self._region = region_of(phone_region)
        self._drop = drop_invalid_optional
        self.left_out: Counter[str] = Counter()
        self._allow_special_domains = allow_special_domains
        self._absent: set[str] = set()
        self._others: Counter[str] = Counter()
        self._counted = 0

    @property
    def columns(self) -> dict[str, list[str]]:
        """Return the columns of each field that every source must have."""
        return {field: columns for field, columns in self._columns.items() if field in self._needed}

    @property
    def unseen(self) -> set[str]:
        """Return the columns of ``field_map`` that no row has had so far."""
        return self._named & self._absent

    def check_columns(self, columns: Sequence[str] | None, *, has_schema: bool = False) -> None:
        """Check that a source has the columns, each once.

        :param columns: None where each row names its own.
        :param has_schema: whether these are columns for certain: a file without a header has a person in their place.
        :raises SourceFormatError: naming those it lacks, and those it has if they are columns for certain.
        :raises ConfigurationError: if there is no such country as ``phone_region``.
        """
        check_supported(self._region)
        self._absent = {column for columns in self._columns.values() for column in columns}
        if columns is None:
            return
        found = {column: _matching(columns, column) for field in FIELDS for column in self._columns[field]}
        if missing := [column for needed in self.columns.values() for column in needed if not found[column]]:
            has = f"It has {_quoted(columns[:_SHOWN])}: say which in field_map"
            if not has_schema:
                others = counted(len([*filter(None, columns)]), "other")
                has = f"The first line names {others}: say which in field_map, or take out what is above their names"
            raise SourceFormatError(f"The source has no column {_quoted(missing)}. {has}.")
        if repeated := [column for column, matches in found.items() if len(matches) > 1]:
            raise SourceFormatError(f"The source names the column {_quoted(repeated)} twice: give each its own name.")

    def needed_of(self, columns: Iterable[str]) -> list[str]:
        """Return those of a source's columns that something is read from."""
        names = [*columns]
        wanted = (one for field in FIELDS for column in self._columns[field] for one in _matching(names, column))
        return [*dict.fromkeys(wanted)]

    def read(self, row: Mapping[str, Any]) -> NewCandidate:
        """Return the candidate that a row makes.

        :raises InvalidCandidateError: naming everything that is wrong.
        """
        from pihupulse_provider.api.models import NewCandidate

        values: dict[str, str] = {}
        problems: list[Problem] = []
        for field, columns in self._columns.items():
            try:
                value = self._field(field, [self._value(row, column) for column in columns])
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
            if self._missing() and self._counted < _COUNTED:
                self._counted += 1
                self._others.update(map(str, row))
            raise InvalidCandidateError(problems)
        return NewCandidate(**values)

    def missing_columns(self) -> str:
        """Return which columns no row has had of those that each must have, and which they have instead.

        These are shown if many rows have them: else what a row has for a column may be a person.
        """
        missing = self._missing()
        if not missing or not self._counted:
            return ""
        shared = [name for name, count in self._others.items() if 1 < count >= self._counted / 2 and _is_column(name)]
        has = f"; the rows have {_quoted(shared[:_SHOWN])}" if shared else ""
        return (
            f"No row has a column {' or '.join(map(repr, missing))}. Say in field_map which column each field is in, "
            f'such as {{"email": "E-mail address"}}{has}'
        )

    def _missing(self) -> list[str]:
        """Return the columns of each required field that no row has had any of so far."""
        fields = [columns for field in REQUIRED if self._absent.issuperset(columns := self._columns[field])]
        return [column for columns in fields for column in columns]

    def _value(self, row: Mapping[str, Any], column: str) -> Any:
        matches = [column] if column in row else _matching(row, column)
        if not matches:
            return None
        self._absent.discard(column)
        if len(matches) > 1:
            raise NotTextError("is there twice, in columns that differ in case")
        return row[matches[0]]

    def _field(self, field: str, cells: Sequence[Any]) -> str | None:
        text = cell_text(cells[0] if len(cells) == 1 else Joined(cells))
        value = cleaned(field, text) if text is not None else None
        if value is None:
            return None
        problem = problem_of(field, value, self._region, allow_special_domains=self._allow_special_domains)
        if problem is not None:
            raise NotTextError(problem)
        return with_country(value, self._region) if field == "phone" else value


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


def _is_column(name: str) -> bool:
    return name.isprintable() and "@" not in name and len(name) <= _LONGEST_COLUMN


def _quoted(columns: Iterable[str]) -> str:
    return ", ".join(map(repr, columns))
