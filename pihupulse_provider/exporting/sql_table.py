"""Putting objects of the API into a table of a SQL database, all of them in one transaction.

Reading can take hours under the account's limit, and no database wants a transaction that stays open for as long. What
is read is therefore kept in a temporary file of this machine until it is complete: a reader of the table sees what was
there before or all of what was read, and an export that fails leaves the table as it was.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from pihupulse_provider.api.errors import ConfigurationError, PihuPulseError
from pihupulse_provider.api.models import Item, Model, value_types
from pihupulse_provider.exporting.atomic_file import StorageError
from pihupulse_provider.exporting.sql_errors import reason

MODES = ("upsert", "append", "replace")
_CHUNK = 1000
_LONGEST_IDLE = "60s"
"""How long PostgreSQL lets the transaction of a worker that was stopped keep the table from a retry."""
_BOUND = sa.text(
    "SELECT set_config(name, :longest, true) FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'"
)
"""Bounds the transaction where the server can: some that speak PostgreSQL's language, such as Redshift, can't."""
_UPSERTS: Mapping[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class TableError(PihuPulseError):
    """A table can't be read or written. It is as it was; the message holds no value of a row."""


class SqlTable:
    """A table that takes objects of one kind; use it as a context manager.

    :param engine: the database. PostgreSQL and SQLite are tested; others do an upsert by deleting and inserting.
    :param name: the table's, with its schema before a dot if it is not the default one.
    :param model: what is written: a column for each field. Lists and objects are JSON, times are in UTC.
    :param fields: which of the model's fields are written; others are left alone in a table that has them.
    :param mode: ``upsert`` replaces the rows with the same id, ``append`` adds rows, ``replace`` removes all others.
    """

    def __init__(self, engine: Engine, name: str, model: type[Model], fields: Sequence[str], mode: str) -> None:
        self._engine = engine
        self._schema, _, self._name = name.rpartition(".")
        self._model = model
        self._fields = list(fields)
        self._mode = mode
        self._key = key_of(model)
        self._zoneless: frozenset[str] = frozenset()
        self._file: IO[bytes]

    def __enter__(self) -> SqlTable:
        """Make the table if it is missing, and check it if not.

        :raises ConfigurationError: if it lacks a column, or an upsert has no unique key to go by.
        :raises TableError: if the database can't be reached.
        """
        with self._failing():
            inspector = sa.inspect(self._engine)
            if inspector.has_table(self._name, schema=self._schema or None):
                self._check(inspector)
            else:
                self._table(every_field=True).create(self._engine, checkfirst=True)
        self._file = tempfile.TemporaryFile()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # it would write the rest, on a disk that is full
            self._file.close()

    def write(self, rows: Sequence[Model]) -> None:
        """Keep some objects until :meth:`publish`. :raises StorageError: if the disk is full."""
        fields = set(self._fields)
        try:
            self._file.write(b"".join(row.model_dump_json(include=fields).encode() + b"\n" for row in rows))
            self._file.flush()
        except OSError as error:
            raise StorageError(
                f"The temporary file of this task can't be written: {error.strerror}. Free some disk space, or point "
                f"TMPDIR of the worker to a larger disk (it is in {tempfile.gettempdir()})."
            ) from error

    def publish(self) -> None:
        """Put all that was written into the table, in one transaction. :raises TableError: if that fails."""
        table = self._table()
        self._file.seek(0)
        # A commit, too, may show a row: constraints that are deferred are checked there.
        with self._failing(), self._engine.connect() as connection, self._failing(with_rows=True), connection.begin():
            if self._engine.dialect.name == "postgresql":
                connection.execute(_BOUND, {"longest": _LONGEST_IDLE})
            if self._mode == "replace":
                self._lock(connection, table)
                connection.execute(sa.delete(table))
            while rows := [self._values(line) for line in islice(self._file, _CHUNK)]:
                self._put(connection, table, rows)

    def _lock(self, connection: Connection, table: sa.Table) -> None:
        # PostgreSQL's DELETE waits for the rows that another transaction removes, but does not see those it adds.
        if self._engine.dialect.name == "postgresql":
            name = self._engine.dialect.identifier_preparer.format_table(table)
            connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")  # whoever reads goes on

    def _put(self, connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if self._mode != "upsert":
            connection.execute(sa.insert(table), rows)
        elif (insert := _UPSERTS.get(self._engine.dialect.name)) is not None:
            statement = insert(table)
            others = {field: statement.excluded[field] for field in self._fields if field != self._key}
            connection.execute(
                statement.on_conflict_do_update(index_elements=[self._key], set_=others)
                if others
                else statement.on_conflict_do_nothing(index_elements=[self._key]),
                rows,
            )
        else:
            latest = {row[self._key]: row for row in rows}
            connection.execute(sa.delete(table).where(table.c[self._key].in_(list(latest))))
            connection.execute(sa.insert(table), list(latest.values()))

    def _table(self, *, every_field: bool = False) -> sa.Table:
        fields = self._model.model_fields
        columns = [self._column(name) for name in (fields if every_field else self._fields)]
        return sa.Table(self._name, sa.MetaData(), *columns, schema=self._schema or None)

    def _column(self, field: str) -> sa.Column[Any]:
        if field == self._key:
            # Rows that are appended tell of the same object more than once.
            kind = sa.String(255).with_variant(sa.Text(), "postgresql")  # others want a length for a key
            return sa.Column(field, kind, primary_key=self._mode != "append", nullable=False)
        of_field = _sql_type(self._model.model_fields[field].annotation)
        is_zoneless = isinstance(of_field, sa.DateTime) and field in self._zoneless
        return sa.Column(field, sa.DateTime() if is_zoneless else of_field)

    def _check(self, inspector: sa.engine.Inspector) -> None:
        where = (self._name, self._schema or None)
        types = {column["name"]: column["type"] for column in inspector.get_columns(*where)}
        missing = sorted(set(self._fields) - types.keys())
        if missing:
            raise ConfigurationError(
                f"The table {self._name} has no column {', '.join(missing)}. Add what is missing, leave it out with "
                "columns, or name a table that does not exist: it is made then."
            )
        if isinstance(self._engine.dialect, PGDialect):  # it would convert to the zone of the session
            self._zoneless = frozenset(name for name, kind in types.items() if _has_no_zone(kind))
        unique: list[Any] = [inspector.get_pk_constraint(*where).get("constrained_columns")]
        unique += [one["column_names"] for one in inspector.get_unique_constraints(*where)]
        indexes = [one for one in inspector.get_indexes(*where) if one["unique"] and not _is_partial(one)]
        unique += [one["column_names"] for one in indexes]
        if self._mode == "upsert" and [self._key] not in unique:
            raise ConfigurationError(
                f"The table {self._name} has no primary key or unique constraint on {self._key}, which an upsert goes "
                'by; an index with a condition is no such key. Add one, or use mode="append" or mode="replace".'
            )

    def _values(self, line: bytes) -> dict[str, Any]:
        row = self._model.model_validate_json(line)
        plain = row.model_dump(mode="json", include=set(self._fields))
        return {field: self._value(field, getattr(row, field), plain[field]) for field in self._fields}

    def _value(self, field: str, value: Any, plain: Any) -> Any:
        if not isinstance(value, datetime):
            return _without_nul(plain)
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if field in self._zoneless else moment

    @contextmanager
    def _failing(self, *, with_rows: bool = False) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OverflowError) as error:  # the latter of a number or time beyond what SQL holds
            # The chain is cut: SQLAlchemy's messages show values of rows, and so may a driver's.
            why = reason(error, with_rows=with_rows)
            raise TableError(f"The table {self._name} can't be written: {why}. It is as it was.") from None


def key_of(model: type[Model]) -> str:
    """Return the name of the field that tells one object from another."""
    return "id" if issubclass(model, Item) else "screening_id"


def _is_partial(index: Any) -> bool:
    """Return whether a unique index is of some rows only, such as those that are not deleted."""
    return any(option.endswith("_where") for option in index.get("dialect_options", ()))


def _has_no_zone(kind: Any) -> bool:
    return isinstance(kind, sa.Date | sa.DateTime) and not getattr(kind, "timezone", False)


def _without_nul(plain: Any) -> Any:
    # PostgreSQL takes no NUL, neither in text nor in JSON.
    if isinstance(plain, list):
        return [_without_nul(one) for one in plain]
    if isinstance(plain, dict):
        return {_without_nul(name): _without_nul(one) for name, one in plain.items()}
    return plain.replace("\0", "") if isinstance(plain, str) else plain


def _sql_type(annotation: Any) -> sa.types.TypeEngine[Any]:
    """Return the SQL type of a model's field: every field may be missing, and any number may have a fraction."""
    kinds = value_types(annotation)
    if kinds == {str}:
        return sa.Text()
    if kinds == {int}:
        return sa.BigInteger()
    if kinds == {int, float}:
        return sa.Float(53)
    if kinds == {datetime}:
        return sa.DateTime(timezone=True)
    return sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
