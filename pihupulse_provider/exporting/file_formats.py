"""The formats that files of rows are read and written in."""

from __future__ import annotations

from typing import Any

from pihupulse_provider.api.errors import ConfigurationError

FORMATS = ("csv", "jsonl", "parquet")
_ENDINGS = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet", ".ndjson": "jsonl", ".pq": "parquet"}
_HINTS = {
    ".json": ' A file of one object on each line is "jsonl"; an array of objects is not read.',
    ".tsv": ' It is "csv", and to be read needs delimiter="\\t".',
    ".xls": " A spreadsheet is read if you save it as CSV UTF-8.",
    ".xlsx": " A spreadsheet is read if you save it as CSV UTF-8.",
}


def format_of(path: str, given: str | None = None) -> str:
    """Return the format of a file: the given one, else the one that its name's ending tells, in any case.

    :raises ConfigurationError: if nothing tells, or there is no such format.
    """
    if given is not None:
        return check_format(given)
    ending = f".{path.rpartition('.')[2].lower()}"
    if ending not in _ENDINGS:
        raise ConfigurationError(
            f"The ending of {path!r} does not tell its format: end it in one of {', '.join(_ENDINGS)}, or set format."
            f"{_HINTS.get(ending, '')}"
        )
    return _ENDINGS[ending]


def check_format(name: str) -> str:
    """Return the format's name in lower case. :raises ConfigurationError: if there is no such format."""
    if name.lower() not in FORMATS:
        raise ConfigurationError(f"format is {name!r}: choose one of {', '.join(FORMATS)}.")
    return name.lower()


def import_pyarrow() -> Any:
    """Return pyarrow with its ``parquet``. :raises ConfigurationError: saying how to install it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigurationError('Parquet needs pyarrow: pip install "airflow-provider-pihupulse[parquet]".') from None
    return pyarrow
