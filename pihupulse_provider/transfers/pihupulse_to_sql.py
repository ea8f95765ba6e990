"""From PihuPulse to a SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import Context

from pihupulse_provider.api.errors import ConfigurationError, check_choice
from pihupulse_provider.api.logs import counted
from pihupulse_provider.exporting.export import MODELS
from pihupulse_provider.exporting.sql_table import MODES, SqlTable, key_of
from pihupulse_provider.transfers.export import ExportOperator
from pihupulse_provider.transfers.sql_hook import sql_hook

if TYPE_CHECKING:
    from pihupulse_provider.operators.lineage import Dataset


class PihuPulseToSqlOperator(ExportOperator):
    """Write all candidates, screenings, reports or templates into a table, for analysts to query.

    Everything is read first, as by :class:`PihuPulseToStorageOperator`, and then put into the table in one transaction:
    whoever reads the table sees the old rows or the new ones. A missing table is made, with a column for each
    documented field; lists and objects are JSON (``JSONB`` on PostgreSQL), times are in UTC. The table holds personal
    data unless ``columns`` leaves it out.

    The XCom is ``{"rows", "watermark", "table", "requests", "seconds"}``.

    :param resource: ``candidates``, ``screenings``, ``reports`` (of all completed screenings) or ``templates``.
    :param conn_id: the connection of the database: any of Airflow's that speaks SQL. (templated)
    :param table: the table's name, with its schema before a dot if it is not the default one. (templated)
    :param mode: ``upsert`` replaces rows of the same ``id`` (``screening_id`` of reports) and adds the others;
        ``append`` adds all rows, so that an object can be there in several versions; ``replace`` removes the rows
        that were there before.
    :param columns: the fields that are written; None for all. The id is always among them. Those that only ``detail``
        fetches need it.
    :param detail: whether to fetch each candidate whole (API reference, "Get Candidate"), one request each.
    :param status: which candidates: ``active``, ``archived`` or ``all``; None for all.
    :param updated_since: leaves out what has not changed since this ISO 8601 time, as for
        :class:`PihuPulseToStorageOperator`; not with ``replace``. (templated)
    :param pihupulse_conn_id: the connection of PihuPulse. (templated)
    :raises ConfigurationError: if the table lacks a column, or an upsert has no unique key to go by.
    :raises TableError: if the table can't be written; it is then as it was.
    """

    template_fields: Sequence[str] = ("conn_id", "table", *ExportOperator.template_fields)
    decisive_fields: ClassVar[tuple[str, ...]] = ("conn_id", "table")

    def __init__(
        self,
        *,
        conn_id: str,
        table: str,
        mode: str = "upsert",
        columns: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.table = table
        self.mode = mode
        self.columns = columns
        self._database: tuple[Any, str | None] | None = None
        self._check()

    def execute(self, context: Context) -> dict[str, Any]:
        """Fill the table."""
        engine = self._engine()
        try:
            with SqlTable(engine, self.table, MODELS[self.resource], self.fields, self.mode) as table:
                self._database = engine.url, engine.dialect.default_schema_name
                result = self.export(context, table)
                table.publish()
        finally:
            engine.dispose()
        written = counted(result["rows"], self.resource.removesuffix("s"))
        self.log.info("Wrote %s of %s into the table %s.", written, self.pihupulse_conn_id, self.table)
        return self.result(context, {**result, "table": self.table})

    def target(self) -> Dataset | None:
        """Return the table."""
        from pihupulse_provider.operators.lineage import table_dataset

        return table_dataset(self._database[0], self.table, self._database[1], self.fields) if self._database else None

    def _engine(self) -> Any:
        return sql_hook(self.conn_id, "get_sqlalchemy_engine").get_sqlalchemy_engine()

    @property
    def fields(self) -> list[str]:
        """Return the fields of the resource that are written."""
        model = MODELS[self.resource]
        wanted = model.model_fields if self.columns is None else {key_of(model), *self.columns}
        return [field for field in model.model_fields if field in wanted and field not in self.fields_left_out]

    def _check(self) -> None:
        check_choice("mode", self.mode, MODES)
        if self.mode == "replace" and self.updated_since:
            raise ConfigurationError(
                'mode="replace" removes what was there, and updated_since would put back only what is new: use '
                'mode="upsert".'
            )
        if isinstance(self.columns, str):
            raise ConfigurationError(f"columns is a text: give a list of fields, such as {[self.columns]}.")
        unknown = sorted(set(self.columns or ()) - MODELS[self.resource].model_fields.keys())
        if unknown:
            raise ConfigurationError(
                f"columns names {', '.join(unknown)}: {self.resource} have "
                f"{', '.join(MODELS[self.resource].model_fields)}."
            )
        details = sorted(self.fields_left_out.intersection(self.columns or ()))
        if details:
            raise ConfigurationError(
                f"columns names {', '.join(details)}, which the list of candidates does not have: that needs "
                "detail=True, which is one more request for each candidate."
            )
