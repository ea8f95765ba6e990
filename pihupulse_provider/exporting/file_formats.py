"""The formats that files of rows are read and written in, and how objects of the API are written in each."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, assert_never, get_args, get_origin

from pihupulse_provider.api.errors import ConfigurationError, check_choice
from pihupulse_provider.exporting.atomic_file import StorageError

# A DAG file imports this module too, for the names of the formats, and has no need of the models.
if TYPE_CHECKING:
    from pihupulse_provider.api.models import Model

Format = Literal["csv", "jsonl", "parquet"]
"""A new one is written here, and read in :mod:`~pihupulse_provider.creating.readers`: mypy finds both places."""
FORMATS: tuple[Format, ...] = get_args(Format)
_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".ndjson": "jsonl",
    ".pq": "parquet",
}
_HINTS = {
    ".json": ' A file of one object on each line is "jsonl"; an array of objects is not read.',
    ".tsv": ' It is "csv", and to be read needs delimiter="\\t".',
    ".xls": " A spreadsheet is read if you save it as CSV UTF-8, and opens a CSV file.",
    ".xlsx": " A spreadsheet is read if you save it as CSV UTF-8, and opens a CSV file.",
    ".gz": " Files are read compressed, and written as they are; Parquet is compressed in itself.",
}


def format_of(path: str, given: str | None = None) -> Format:
    """Return the format of a file: the given one, else that of its name's ending, in any case.

    :raises ConfigurationError: if neither says it, or there is no such format.
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


def check_format(name: str) -> Format:
    """Return the format of that name, in any case. :raises ConfigurationError: if there is no such format."""
    return check_choice("format", name.lower(), FORMATS)


PYARROW_VALUE_ERRORS = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What pyarrow raises for a value that does not fit its type, or Python, such as a date in the year 20000."""


def import_pyarrow() -> Any:
    """Return pyarrow with its ``parquet``. :raises ConfigurationError: saying how to install it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigurationError('Parquet needs pyarrow: pip install "airflow-provider-pihupulse[parquet]".') from None
    return pyarrow


_ROW_GROUP = 20_000
_SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
_CELL_END = re.compile(r"[;\t\r\n]")
_FORMULA = re.compile(r"(?:^|(?<=[;\t\r\n]))(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""Where a spreadsheet would begin a formula: also behind what it may take for the end of a cell."""
_NO_FORMULA = re.compile(r"[+-]?[\d\s().-]+")
"""Phone and other numbers: there is nothing to run in them."""


class Writer(Protocol):
    """Takes objects for a file."""

    def write(self, rows: Sequence[Model]) -> None:
        """Write some objects."""
        ...


@contextmanager
def open_writer(
    name: Format, file: IO[bytes], model: type[Model], leave_out: frozenset[str], *, neutralise: bool = True
) -> Iterator[Writer]:
    """Open a writer of a format.

    JSON Lines hold each object as the service sent it. CSV and Parquet have a column for each documented field but
    those to leave out; in CSV what is not a plain value is JSON.

    :param neutralise: whether a text in CSV that a spreadsheet would run as a formula gets an apostrophe before it.
    :raises StorageError: if Parquet has no place for a value, such as a whole number of more than 64 bits.
    """
    fields = [field for field in model.model_fields if field not in leave_out]
    if name == "jsonl":
        yield _JsonLines(file)
    elif name == "csv":
        yield _Csv(file, fields, neutralise=neutralise)
    elif name == "parquet":
        with _parquet(file, model, fields) as writer:
            yield writer
    else:
        assert_never(name)


class _JsonLines:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, rows: Sequence[Model]) -> None:
        self._file.write(b"".join(row.model_dump_json(exclude_unset=True).encode() + b"\n" for row in rows))


class _Csv:
    def __init__(self, file: IO[bytes], fields: Sequence[str], *, neutralise: bool) -> None:
        self._file = file
        self._fields = fields
        self._neutralise = neutralise
        self._put([fields])

    def write(self, rows: Sequence[Model]) -> None:
        documents = (row.model_dump(mode="json", include=set(self._fields)) for row in rows)
        self._put([[self._cell(document[field]) for field in self._fields] for document in documents])

    def _put(self, lines: Sequence[Sequence[Any]]) -> None:
        # Before Python 3.13 a carriage return is quoted only where it is part of the line's end.
        text: list[str] = []
        csv.writer(SimpleNamespace(write=text.append), lineterminator="\r\n").writerows(lines)
        self._file.write("".join(f"{line[:-2]}\n" for line in text).encode())

    def _cell(self, value: Any) -> Any:
        text = json.dumps(value) if isinstance(value, (list, dict)) else value
        return _neutralised(text) if self._neutralise and isinstance(text, str) else text


def _neutralised(text: str) -> str:
    is_plain = text.lstrip()[:1] not in _SIGNS and not _CELL_END.search(text)  # nearly all are, and this is quick
    return text if is_plain or _NO_FORMULA.fullmatch(text) else _FORMULA.sub("'", text)


class _Parquet:
    def __init__(self, writer: Any, table: Any, fields: Sequence[str]) -> None:
        self._writer = writer
        self._table = table
        self._fields = set(fields)
        self._rows: list[dict[str, Any]] = []

    def write(self, rows: Sequence[Model]) -> None:
        self._rows.extend(row.model_dump(include=self._fields) for row in rows)
        if len(self._rows) >= _ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what is held back to make row groups of a useful size."""
        try:
            table = self._table(self._rows)
        except PYARROW_VALUE_ERRORS:
            raise StorageError(self._problem()) from None
        self._writer.write_table(table)
        self._rows.clear()

    def _problem(self) -> str:
        for row in self._rows:
            for field, value in row.items():
                try:
                    self._table([{field: value}])
                except PYARROW_VALUE_ERRORS:
                    identifier = row.get("id") or row.get("screening_id")
                    return f"Parquet has no place for the {field} of {identifier}: export it as JSON Lines or CSV."
        return "Parquet has no place for a value: export it as JSON Lines or CSV."


@contextmanager
def _parquet(file: IO[bytes], model: type[Model], fields: Sequence[str]) -> Iterator[_Parquet]:
    pyarrow = import_pyarrow()
    schema = pyarrow.schema([(field, _arrow(model.model_fields[field].annotation)) for field in fields])
    with pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as inner:
        writer = _Parquet(inner, lambda rows: pyarrow.Table.from_pylist(rows, schema=schema), fields)
        yield writer
        writer.flush()


def _arrow(annotation: Any) -> Any:
    """Return the Arrow type of a model's field: every field may be missing, and any number may have a fraction."""
    from pihupulse_provider.api.models import Model, value_types

    pyarrow = import_pyarrow()
    kinds = value_types(annotation)
    if kinds == {int, float}:
        return pyarrow.float64()
    [kind] = kinds
    if get_origin(kind) is list:
        return pyarrow.list_(_arrow(get_args(kind)[0]))
    if isinstance(kind, type) and issubclass(kind, Model):
        return pyarrow.struct([(name, _arrow(field.annotation)) for name, field in kind.model_fields.items()])
    plain = {str: pyarrow.string(), int: pyarrow.int64(), datetime: pyarrow.timestamp("us", tz="UTC")}
    return plain[kind]
