"""Which columns of a source make which fields of a candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.creating.errors import SourceError

FIELDS = ("name", "email", "phone", "resume_url")
"""The fields of ``NewCandidate``, named here since a DAG file, which imports this module, has no need of the model."""
REQUIRED = ("name", "email")


class FieldMap:
    """Names the column of each field.

    :param columns: from each field (``name``, ``email``, ``phone``, ``resume_url``) to its column, or to several
        columns whose values are joined with a blank. A field that is not named has the column of its own name.
    :raises ConfigurationError: if there is no such field.
    """

    def __init__(self, columns: Mapping[str, str | Sequence[str]] | None = None) -> None:
        columns = columns or {}
        unknown = sorted(set(columns) - set(FIELDS))
        if unknown:
            raise ConfigurationError(
                f"field_map names {', '.join(unknown)}: a candidate has the fields {', '.join(FIELDS)}. "
                "Write it as {field: column}."
            )
        self._named = {
            field: [column] if isinstance(column, str) else list(column) for field, column in columns.items()
        }
        self._columns = {field: self._named.get(field, [field]) for field in FIELDS}

    def check(self, columns: Sequence[str]) -> None:
        """Check that a source has the columns.

        :raises SourceError: naming those it lacks; the columns it has are not shown, since a file without a header
            has a person in their place.
        """
        wanted = {**{field: [field] for field in REQUIRED}, **self._named}
        missing = [column for field in wanted for column in self._columns[field] if column not in columns]
        if missing:
            raise SourceError(
                f"The source has no column {', '.join(repr(column) for column in missing)} among its {len(columns)}. "
                "Name the columns in field_map, and check that the first line of a CSV file names them too."
            )

    def apply(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the candidate's fields out of a row."""
        return {field: _joined([values.get(column) for column in columns]) for field, columns in self._columns.items()}


def _joined(values: Sequence[Any]) -> Any:
    if len(values) == 1:
        return values[0]
    return " ".join(str(value).strip() for value in values if value is not None)
