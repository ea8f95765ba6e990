"""Rows out of CSV, JSON Lines and Parquet files and out of lists, one at a time."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, cast

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.creating.errors import SourceError

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}
_PARQUET_BATCH = 1000


class Row(NamedTuple):
    """One row of a source: its number, counted from 1 without the header, and its values, or why it has none."""

    number: int
    values: Mapping[str, Any] | None
    reason: str | None = None


@dataclass(frozen=True)
class Source:
    """Rows, and the columns they have (None where each row names its own)."""

    rows: Iterator[Row]
    columns: Sequence[str] | None = None


@dataclass(frozen=True)
class FileFormat:
    """How to read a file.

    :param format: ``csv``, ``jsonl`` or ``parquet``; None to go by the file's name, also before ``.gz``.
    :param encoding: of CSV and JSON Lines; a byte order mark is skipped.
    :param delimiter: between the fields of CSV.
    :raises ConfigurationError: if there is no such format or encoding.
    """

    format: str | None = None
    encoding: str = "utf-8"
    delimiter: str = ","

    def __post_init__(self) -> None:
        known = sorted(set(FORMATS.values()))
        if self.format is not None and self.format not in known:
            raise ConfigurationError(f"format is {self.format!r}: choose one of {', '.join(known)}.")
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise ConfigurationError(f"encoding is {self.encoding!r}, which Python does not know.") from None
        if len(self.delimiter) != 1:
            raise ConfigurationError(f"delimiter is {self.delimiter!r}: it must be one character, such as ',' or ';'.")

    @contextmanager
    def reading(self, name: str, file: IO[bytes]) -> Iterator[Source]:
        """Read the rows of an open file.

        :raises SourceError: if it can't be read, also while the rows are iterated over.
        """
        stem = name.lower()
        is_packed = stem.endswith(".gz")
        stem = stem.removesuffix(".gz")
        kind = self.format or next((kind for suffix, kind in FORMATS.items() if stem.endswith(suffix)), None)
        if kind is None:
            raise ConfigurationError(
                f"The name {name!r} does not tell how to read it: end it in {', '.join(FORMATS)}, or set format."
            )
        with ExitStack() as opened:
            if is_packed:
                file = cast("IO[bytes]", opened.enter_context(gzip.GzipFile(fileobj=file)))
            if kind == "parquet":
                yield _read_parquet(file)
                return
            encoding = "utf-8-sig" if codecs.lookup(self.encoding).name == "utf-8" else self.encoding
            text = opened.enter_context(io.TextIOWrapper(file, encoding, newline="" if kind == "csv" else None))
            yield _read_csv(text, self.delimiter) if kind == "csv" else _read_json_lines(text)


def read_records(records: Iterable[Any]) -> Source:
    """Return the rows of a list of mappings."""
    return Source(_record(number, record) for number, record in enumerate(records, start=1))


def _record(number: int, record: Any) -> Row:
    if isinstance(record, Mapping):
        return Row(number, record)
    return Row(number, None, "is not a mapping of fields")


def _read_csv(text: io.TextIOWrapper, delimiter: str) -> Source:
    lines = _guarded(csv.reader(text, delimiter=delimiter, strict=True))
    header = [name.strip() for name in next(lines, [])]
    if not any(header):
        raise SourceError("The CSV file is empty: it must begin with a line that names its columns.")
    if len(set(header)) < len(header):
        raise SourceError("The CSV file's first line names a column twice: give each column a name of its own.")
    return Source(_csv_rows(header, lines), header)


def _csv_rows(header: Sequence[str], lines: Iterator[list[str]]) -> Iterator[Row]:
    for number, fields in enumerate(filter(None, lines), start=1):
        if len(fields) == len(header):
            yield Row(number, dict(zip(header, fields, strict=True)))
        else:
            yield Row(number, None, f"has {len(fields)} fields where the first line names {len(header)}")


def _read_json_lines(text: io.TextIOWrapper) -> Source:
    lines = (line for line in _guarded(text) if line.strip())
    return Source(_json_row(number, line) for number, line in enumerate(lines, start=1))


def _json_row(number: int, line: str) -> Row:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return Row(number, None, "is not JSON")
    return Row(number, values) if isinstance(values, dict) else Row(number, None, "is not a JSON object")


def _read_parquet(file: IO[bytes]) -> Source:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigurationError('Parquet needs pyarrow: pip install "airflow-provider-pihupulse[parquet]".') from None
    try:
        table = parquet.ParquetFile(file)
    except (pyarrow.ArrowException, OSError) as error:
        raise SourceError(f"The Parquet file can't be read: {error}.") from error
    return Source(_parquet_rows(table, pyarrow.ArrowException), table.schema_arrow.names)


def _parquet_rows(table: Any, broken: type[Exception]) -> Iterator[Row]:
    number = 0
    try:
        for batch in table.iter_batches(batch_size=_PARQUET_BATCH):
            for values in batch.to_pylist():
                number += 1
                yield Row(number, values)
    except (broken, OSError) as error:
        raise SourceError(f"The Parquet file can't be read after row {number}: {type(error).__name__}.") from error


def _guarded(lines: Iterable[Any]) -> Iterator[Any]:
    count = 0
    reading = iter(lines)
    while True:
        try:
            line = next(reading)
        except StopIteration:
            return
        except UnicodeError as error:
            problem = f"is not text in the encoding {getattr(error, 'encoding', '')!r}: set encoding"
            raise SourceError(f"The file can't be read after line {count}: it {problem}.") from None
        except csv.Error as error:
            raise SourceError(f"The CSV file can't be read after line {count}: {error}.") from None
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"The file can't be read after line {count}: {type(error).__name__}: {error}.") from error
        count += 1
        yield line
