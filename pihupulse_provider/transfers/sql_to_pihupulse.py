"""From a SQL database to PihuPulse."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import Context

from pihupulse_provider.creating.cell_text import known_digits
from pihupulse_provider.creating.errors import SourceError, SourceFormatError
from pihupulse_provider.creating.readers import Row, Source
from pihupulse_provider.operators.bulk import ImportOperator
from pihupulse_provider.transfers.sql_hook import sql_hook

if TYPE_CHECKING:
    from psycopg.abc import Buffer, Loader

    from pihupulse_provider.operators.lineage import Columns, Dataset

log = logging.getLogger(__name__)
_FETCH = 1000
_SYNTAX_ERROR = "42601"
"""PostgreSQL's SQLSTATE, which it also gives for ``DECLARE … CURSOR FOR INSERT …``."""
_NO_ROWS = "The SQL statement gives no rows: it must be a query, such as SELECT name, email FROM …."
_SINGLE_PRECISION = {"psycopg": 700, "psycopg2": 700, "MySQLdb": 4, "pymysql": 4}
"""By driver the type code (PEP 249) of ``REAL``, or MySQL's ``FLOAT``."""
_DATES_AND_TIMES = ("date", "time", "timetz", "timestamp", "timestamptz", "interval")
"""PostgreSQL's types that have values for which Python has no place."""


class SqlToPihuPulseOperator(ImportOperator):
    """Create a candidate for each row of a query, each once (API reference, "Create Candidate").

    It does what :class:`PihuPulseImportCandidatesOperator` does, with rows of any Airflow connection that speaks SQL.
    They are streamed, from a cursor on the server's side with PostgreSQL and MySQL. A retry runs the query again and
    goes on; the rows may then come in another order, but must be the same rows.

    :param sql: the query. (templated, also from a ``.sql`` file)
    :param conn_id: the connection of the database. (templated)
    :param parameters: values for the query's placeholders.
    :param hook_params: further arguments for the database's hook.
    :param field_map: from each of ``name``, ``email``, ``phone`` and ``resume_url`` to its column, or to a list of
        columns that are joined with a space; None if the columns have the fields' names.
    :param on_existing: what to do with a row whose e-mail address a candidate or an earlier row has: ``skip``,
        ``create`` or ``fail``.
    :param max_rejects: how many invalid rows are allowed: a count, or a share of the rows below 1.
    :param results_path: where ``{"row", "status", "id"}`` of each row goes, as JSON Lines. (templated)
    :param rejects_path: where ``{"row", "field", "reason"}`` of each problem goes, as JSON Lines. (templated)
    :param phone_region: the country (ISO 3166, such as ``US``) of phone numbers without a country code.
    :param drop_invalid_optional: whether a phone number or résumé link that can't be used, such as ``N/A``, is left
        out, rather than the row rejected.
    :param allow_special_domains: whether e-mail addresses may be of domains for special use, such as ``.test``,
        ``.local`` and names without a dot.
    :param pihupulse_conn_id: the connection of PihuPulse. (templated)
    :raises SourceChangedError: if a retry's query gives other rows than the try that created some of them.
    """

    template_fields: Sequence[str] = ("sql", "conn_id", *ImportOperator.template_fields)
    decisive_fields: ClassVar[tuple[str, ...]] = ("sql", "conn_id")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}

    def __init__(
        self,
        *,
        sql: str,
        conn_id: str,
        parameters: Mapping[str, Any] | Iterable[Any] | None = None,
        hook_params: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.conn_id = conn_id
        self.parameters = parameters
        self.hook_params = dict(hook_params or {})
        self._hook: Any = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Import the rows."""
        with stream(self._connect(), self.sql, self.parameters) as rows:
            return self.create_candidates(context, rows)

    def sources(self) -> tuple[Sequence[Dataset], Columns]:
        """Return the tables of the query, and their columns that the fields are made of."""
        from pihupulse_provider.operators.lineage import query_columns

        if self._hook is None:
            return [], {}
        found = query_columns(self.sql, self._hook.get_sqlalchemy_engine().url)
        tables = [table for table, _ in found.pop("")]
        columns = self.candidates.columns.items()
        return tables, {field: [one for name in names for one in found.get(name, ())] for field, names in columns}

    def _connect(self) -> Any:
        self._hook = sql_hook(self.conn_id, "get_records", hook_params=self.hook_params)
        return self._hook.get_conn()


@contextmanager
def stream(connection: Any, sql: str, parameters: Any = None) -> Iterator[Source]:
    """Run a query and yield its rows, read from the database as they are wanted.

    :param connection: a connection of the Python database API (PEP 249). It is closed as soon as the last row is read:
        what is done with the rows can take hours, and no transaction is to stay open for as long.
    """
    with ExitStack() as database:
        database.callback(_close, connection)
        cursor = _cursor(connection)
        database.callback(_close, cursor)
        try:
            with _without_values():
                cursor.execute(sql, *([parameters] if parameters is not None else []))
        except Exception as error:
            if _is_no_query_for(error, sql):
                raise SourceFormatError(_NO_ROWS) from error
            raise
        if cursor.description is None and not getattr(cursor, "name", None):  # a named cursor tells after a fetch
            raise SourceFormatError(_NO_ROWS)
        first = _fetch(cursor)
        columns = [column[0] for column in cursor.description]
        yield Source(_rows(cursor, columns, first, database), columns, has_schema=True)


def _close(resource: Any) -> None:
    try:
        resource.close()
    except Exception as error:  # what was read, or went wrong before, tells more
        log.debug("Closing a %s of the database failed: %s", type(resource).__name__, type(error).__name__)


@contextmanager
def _without_values(*others: type[Exception]) -> Iterator[None]:
    """Keep back a driver's message about the data, which shows a value of it; a mistake in the query is no such."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, others) and not any(kind.__name__ == "DataError" for kind in type(error).__mro__):
            raise  # DataError is PEP 249's
        raise SourceError(
            "The query met a value that the database can't convert or compute with, or that Python has no place for, "
            f"such as a date after the year 9999 ({type(error).__name__}). The database's message shows that value, so "
            "it is left out here: run the query there, and correct it, leave out the column, or cast it to text."
        ) from None


def _fetch(cursor: Any) -> Sequence[Any]:
    with _without_values(ValueError):  # psycopg2 raises one for a date that Python has no place for
        rows: Sequence[Any] = cursor.fetchmany(_FETCH)
    return rows


def _driver(resource: Any) -> str:
    return type(resource).__module__.partition(".")[0]


def _cursor(connection: Any) -> Any:
    package = _driver(connection)
    if package == "psycopg":
        return _psycopg_cursor(connection)
    if package == "psycopg2":
        return connection.cursor(name="pihupulse")
    if package in ("MySQLdb", "pymysql"):
        return connection.cursor(import_module(f"{package}.cursors").SSCursor)
    if package == "sqlite3":  # it would end the query at the first text that is not UTF-8
        connection.text_factory = lambda text: text.decode(errors="surrogateescape")
    return connection.cursor()


def _psycopg_cursor(connection: Any) -> Any:
    from psycopg.pq import Format
    from psycopg.rows import tuple_row

    cursor = connection.cursor(name="pihupulse", row_factory=tuple_row)
    for name in _DATES_AND_TIMES:
        kind = cursor.adapters.get_loader(cursor.adapters.types[name].oid, Format.TEXT)
        cursor.adapters.register_loader(name, _text_if_need_be(kind))
    return cursor


def _text_if_need_be(kind: type[Loader]) -> type[Loader]:
    """Return a loader of psycopg that gives PostgreSQL's text of a value for which Python has no place."""
    from psycopg import DataError
    from psycopg.adapt import Loader

    class TextIfNeedBe(Loader):
        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self._inner = kind(oid, context)

        def load(self, data: Buffer) -> Any:
            try:
                return self._inner.load(data)
            except DataError:  # 'infinity', or a date after the year 9999
                return bytes(data).decode()

    return TextIfNeedBe


def _is_no_query_for(error: Exception, sql: str) -> bool:
    """Return whether PostgreSQL has refused to declare a cursor for a statement that is no query."""
    words = sql.split(maxsplit=1)
    is_query = bool(words) and words[0].lower().lstrip("(") in ("select", "with", "values", "table", "--", "/*")
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return state == _SYNTAX_ERROR and not is_query


def _rows(cursor: Any, columns: Sequence[str], chunk: Sequence[Any], database: ExitStack) -> Iterator[Row]:
    number = 0
    single = _SINGLE_PRECISION.get(_driver(cursor), object())
    inexact = [column[0] for column in cursor.description if column[1] == single]
    with database:  # until the last row is read, or reading failed
        while chunk:
            for values in chunk:
                number += 1
                is_dict = isinstance(values, Mapping)  # where the connection's cursors give such
                found = dict(values if is_dict else zip(columns, values, strict=True))
                yield Row(number, found | {name: known_digits(found[name], "float32") for name in inexact})
            chunk = _fetch(cursor)
