"""Rows out of CSV, JSON Lines and Parquet files and out of lists, one at a time, in memory that does not grow.

What is wrong with a row is told with the row, and reading goes on behind it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import IO, Any, NamedTuple, assert_never, cast

from pihupulse_provider.api.errors import ConfigurationError, kind_of
from pihupulse_provider.creating.cell_text import NotTextError, Unreadable, cell_text, known_digits
from pihupulse_provider.creating.errors import SourceError, SourceFormatError
from pihupulse_provider.creating.lines import BadRowError, Lines, reading_lines
from pihupulse_provider.exporting.file_formats import (
    PYARROW_VALUE_ERRORS,
    Format,
    check_format,
    format_of,
    import_pyarrow,
)

_PARQUET_BATCH = 1000
_SMALL_FLOATS = {"halffloat": "float16", "float": "float32"}
"""By how PyArrow calls them."""
_LINE_BREAKS = re.compile(r"\s*[\r\n\v\f\u2028\u2029]\s*")
_SEPARATOR_LINE = re.compile("sep=(.)")
_PACKED = ".gz"
_LIST_OF_TABLE = ", as pandas makes one by to_dict('records')"
_ARRAY = "begins a JSON array: write one object on each line"

NeededOf = Callable[[Sequence[str]], list[str]]
"""Returns which of a file's columns somebody reads anything from."""


class Row(NamedTuple):
    """One row of a source: its number, counted from 1 without header and blank lines, and its values.

    :ivar reason: why it has no values.
    """

    number: int
    values: Mapping[str, Any] | None
    reason: str | None = None


@dataclass(frozen=True)
class Source:
    """Rows, and the columns they have (None where each row names its own).

    :ivar has_schema: whether the columns are columns for certain: the first line of a CSV file may be a person.
    """

    rows: Iterator[Row]
    columns: Sequence[str] | None = None
    has_schema: bool = False


@dataclass(frozen=True)
class FileFormat:
    """How to read a file.

    :param format: ``csv``, ``jsonl`` or ``parquet``; None to go by the file's name, also before ``.gz``.
    :param encoding: of CSV and JSON Lines; a byte order mark is skipped.
    :param delimiter: between the fields of CSV; a first line such as ``sep=;``, which Excel knows, goes before it.
    :raises ConfigurationError: if there is no such format or encoding.
    """

    format: str | None = None
    encoding: str = "utf-8"
    delimiter: str = ","

    def __post_init__(self) -> None:
        if self.format is not None:
            check_format(self.format)
        try:
            io.TextIOWrapper(io.BytesIO(), self.encoding).read()
        except (LookupError, UnicodeError):
            raise ConfigurationError(
                f"encoding is {self.encoding!r}, which Python does not know: name one such as 'utf-8', "
                "'cp1252' or 'utf-16'."
            ) from None
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise ConfigurationError(f"delimiter is {self.delimiter!r}: it must be one character, such as ',' or ';'.")

    def of(self, name: str) -> Format:
        """Return the format of a file. :raises ConfigurationError: if neither its name nor its user tells."""
        return format_of(name[: -len(_PACKED)] if name.lower().endswith(_PACKED) else name, self.format)

    @contextmanager
    def reading(self, name: str, file: IO[bytes], needed_of: NeededOf = list) -> Iterator[Source]:
        """Read the rows of an open file.

        :param needed_of: returns which of a Parquet file's columns are read.
        :raises SourceError: if it can't be read, also while the rows are iterated over.
        """
        kind = self.of(name)
        with ExitStack() as opened:
            if name.lower().endswith(_PACKED):
                file = cast("IO[bytes]", opened.enter_context(gzip.GzipFile(fileobj=file)))
            if kind == "parquet":
                yield _read_parquet(file, needed_of)
                return
            lines = opened.enter_context(reading_lines(file, self.encoding))
            if kind == "csv":
                yield _read_csv(lines, self.delimiter)
            elif kind == "jsonl":
                yield _read_json_lines(lines)
            else:
                assert_never(kind)


def read_records(records: Any) -> Source:
    """Return the rows of a list of mappings, or of lists of them, such as several mapped tasks return.

    :raises SourceFormatError: if it is no list.
    """
    if isinstance(records, Mapping):
        records = [records]
    is_table = hasattr(records, "columns")  # a data frame, which Airflow passes on: its items are its columns
    if records is None or is_table or isinstance(records, str | bytes) or not isinstance(records, Iterable):
        raise SourceFormatError(
            f"The source is {kind_of(records)}: give a path, or a list of objects with fields such as name and email"
            f"{_LIST_OF_TABLE if is_table else ''}."
        )
    flat = chain.from_iterable(one if isinstance(one, list | tuple) else [one] for one in records)
    return Source(_record(number, record) for number, record in enumerate(flat, start=1))


def _record(number: int, record: Any) -> Row:
    if isinstance(record, Mapping):
        return Row(number, record)
    return Row(number, None, "is not an object with fields such as name and email")


def _read_csv(lines: Lines, delimiter: str) -> Source:
    records = _records(lines, delimiter)
    header = _header(records)
    if of_excel := _SEPARATOR_LINE.fullmatch(delimiter.join(header)):
        delimiter = of_excel[1]
        records = _records(lines, delimiter)
        header = _header(records)
    if not any(header):
        raise SourceError("The CSV file is empty: it must begin with a line that names its columns.")
    return Source(_csv_rows(header, records), header)


def _header(records: Iterator[list[str] | str]) -> list[str]:
    cells = next(records, [])
    if isinstance(cells, str):
        raise SourceFormatError(f"The CSV file's first line {cells}.")
    if len(cells) == 1 and (other := re.search(r"[;\t|,]", cells[0])) and not _SEPARATOR_LINE.fullmatch(cells[0]):
        raise SourceFormatError(
            f"The CSV file's first line is one field with {other[0]!r} in it: set delimiter to that."
        )
    try:
        return [cell_text(_LINE_BREAKS.sub(" ", cell)) or "" for cell in cells]
    except NotTextError as error:
        raise SourceFormatError(f"A cell of the CSV file's first line {error}: check the encoding.") from None


def _records(lines: Lines, delimiter: str) -> Iterator[list[str] | str]:
    """Yield the fields of each record that is not blank, or why it can't be read."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.begin()
        try:
            fields = next(reader, None)
        except (csv.Error, BadRowError) as error:
            yield str(error) if isinstance(error, BadRowError) else _csv_reason(error, lines)
            # A quotation mark that is not closed takes the lines behind it along: they are rows of their own.
            lines.rewind()
            continue
        if fields is None:
            return
        if any(map(str.strip, fields)):
            yield fields


def _csv_reason(error: csv.Error, lines: Lines) -> str:
    if "limit" in str(error) and not lines.spans_lines:
        return f"has a field of more than {csv.field_size_limit():,} characters"
    return "has a quotation mark that is not closed, or not doubled within quotation marks"


def _csv_rows(header: Sequence[str], records: Iterator[list[str] | str]) -> Iterator[Row]:
    width = len(header)
    for number, fields in enumerate(records, start=1):
        if isinstance(fields, str):
            yield Row(number, None, fields)
        elif any(map(str.strip, fields[width:])):
            yield Row(number, None, f"has {len(fields)} fields where the first line names {width}")
        else:
            yield Row(number, dict(zip(header, fields, strict=False)))


def _read_json_lines(lines: Lines) -> Source:
    return Source(Row(number, *_json_values(line)) for number, line in enumerate(_json_lines(lines), start=1))


def _json_lines(lines: Lines) -> Iterator[str | BadRowError]:
    while True:
        lines.begin()
        try:
            line = next(lines, None)
        except BadRowError as error:
            yield error
            continue
        if line is None:
            return
        if line.strip():
            yield line


def _json_values(line: str | BadRowError) -> tuple[Mapping[str, Any] | None, str | None]:
    if isinstance(line, BadRowError):
        return None, str(line)
    try:
        values = json.loads(line, object_pairs_hook=_object)
    except json.JSONDecodeError:
        return None, _ARRAY if line.lstrip().startswith("[") else "is not JSON"
    except (ValueError, RecursionError):
        return None, "holds a number of too many digits, or is nested too deeply"
    if isinstance(values, list):
        return None, _ARRAY
    return (values, None) if isinstance(values, dict) else (None, "is not a JSON object")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, in which a value that was given twice can't be read: JSON does not say which one is meant."""
    values = dict(pairs)
    if len(values) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        values |= {key: Unreadable("is there twice") for key, count in counts.items() if count > 1}
    return values


def _read_parquet(file: IO[bytes], needed_of: NeededOf) -> Source:
    pyarrow = import_pyarrow()
    broken = (pyarrow.ArrowException, OSError, EOFError, zlib.error)
    try:
        table = pyarrow.parquet.ParquetFile(file)
    except broken as error:
        raise SourceError(f"The Parquet file can't be read: {str(error).rstrip('.')}.") from error
    names = table.schema_arrow.names
    return Source(_parquet_rows(table, needed_of(names), broken), names, has_schema=True)


def _parquet_rows(table: Any, names: list[str], broken: tuple[type[Exception], ...]) -> Iterator[Row]:
    number = 0
    try:
        for batch in table.iter_batches(batch_size=_PARQUET_BATCH, columns=names):
            columns = [_cells(column) for column in batch.columns]
            for cells in zip(*columns, strict=True):
                number += 1
                yield Row(number, dict(zip(batch.schema.names, cells, strict=True)))
    except broken as error:
        raise SourceError(f"The Parquet file can't be read after row {number}: {type(error).__name__}.") from error


def _cells(column: Any) -> list[Any]:
    try:
        cells: list[Any] = column.to_pylist()
    except PYARROW_VALUE_ERRORS:
        return [_cell(value) for value in column]
    kind = _SMALL_FLOATS.get(str(column.type))
    return [known_digits(cell, kind) for cell in cells] if kind else cells


def _cell(value: Any) -> Any:
    try:
        return value.as_py()
    except PYARROW_VALUE_ERRORS as error:
        return Unreadable(f"can't be read from the Parquet file ({type(error).__name__})")
