"""Writing objects of the API as JSON Lines, CSV or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import NoneType, UnionType
from typing import IO, Annotated, Any, Protocol, Union, get_args, get_origin

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.api.models import Model

FORMATS = ("jsonl", "csv", "parquet")
_ROW_GROUP = 20_000


class Writer(Protocol):
    """Takes objects for a file."""

    def write(self, rows: Sequence[Model]) -> None:
        """Write some objects."""
        ...


@contextmanager
def open_writer(name: str, file: IO[bytes], model: type[Model], leave_out: frozenset[str]) -> Iterator[Writer]:
    """Open a writer of one of the ``FORMATS``.

    JSON Lines hold each object as the service sent it. CSV and Parquet have a column for each documented field but
    those to leave out; in CSV what is not a plain value is JSON.
    """
    fields = [field for field in model.model_fields if field not in leave_out]
    if name == "jsonl":
        yield _JsonLines(file)
    elif name == "csv":
        yield _Csv(file, fields)
    else:
        with _parquet(file, model, fields) as writer:
            yield writer


class _JsonLines:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, rows: Sequence[Model]) -> None:
        self._file.write(b"".join(row.model_dump_json(exclude_unset=True).encode() + b"\n" for row in rows))


class _Csv:
    def __init__(self, file: IO[bytes], fields: Sequence[str]) -> None:
        self._file = file
        self._fields = fields
        self._put([fields])

    def write(self, rows: Sequence[Model]) -> None:
        documents = (row.model_dump(mode="json", include=set(self._fields)) for row in rows)
        self._put([[_cell(document[field]) for field in self._fields] for document in documents])

    def _put(self, lines: Sequence[Sequence[Any]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(lines)
        self._file.write(text.getvalue().encode())


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
        self._writer.write_table(self._table(self._rows))
        self._rows.clear()


@contextmanager
def _parquet(file: IO[bytes], model: type[Model], fields: Sequence[str]) -> Iterator[_Parquet]:
    pyarrow = import_pyarrow()
    schema = pyarrow.schema([(field, _arrow(model.model_fields[field].annotation)) for field in fields])
    from pyarrow import parquet

    with parquet.ParquetWriter(file, schema, compression="zstd") as inner:
        writer = _Parquet(inner, lambda rows: pyarrow.Table.from_pylist(rows, schema=schema), fields)
        yield writer
        writer.flush()


def import_pyarrow() -> Any:
    """Return pyarrow. :raises ConfigurationError: saying how to install it."""
    try:
        import pyarrow
    except ImportError:
        raise ConfigurationError('Parquet needs pyarrow: pip install "airflow-provider-pihupulse[parquet]".') from None
    return pyarrow


def _arrow(annotation: Any) -> Any:
    """Return the Arrow type of a model's field: every field may be missing, and any number may have a fraction."""
    pyarrow = import_pyarrow()
    parts = set(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else {annotation}
    parts = {get_args(part)[0] if get_origin(part) is Annotated else part for part in parts} - {NoneType}
    if parts == {int, float}:
        return pyarrow.float64()
    [kind] = parts
    if get_origin(kind) is list:
        return pyarrow.list_(_arrow(get_args(kind)[0]))
    if isinstance(kind, type) and issubclass(kind, Model):
        return pyarrow.struct([(name, _arrow(field.annotation)) for name, field in kind.model_fields.items()])
    plain = {str: pyarrow.string(), int: pyarrow.int64(), datetime: pyarrow.timestamp("us", tz="UTC")}
    return plain[kind]


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value
