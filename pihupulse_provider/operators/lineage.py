"""What a task reads and writes, as OpenLineage and Airflow's assets tell it.

Names follow OpenLineage's naming conventions: ``file`` and ``s3://bucket`` for files, ``postgres://host:port`` for
tables, ``pihupulse://host`` for PihuPulse's lists. Nothing here holds a value of a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pihupulse_provider.assets import openlineage_namespace
from pihupulse_provider.exporting.export import MODELS

_SCHEMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
_ON_AZURE = ("abfs", "abfss")
_DATABASES = {"postgresql": ("postgres", 5432), "mysql": ("mysql", 3306), "mssql": ("mssql", 1433)}


@dataclass(frozen=True)
class Dataset:
    """A file, a table or a list. :ivar fields: its columns, as far as they are known."""

    namespace: str
    name: str
    fields: Sequence[str] = ()


Columns = Mapping[str, Sequence[tuple[Dataset, str]]]


@dataclass(frozen=True)
class Lineage:
    """What one task reads and writes.

    :ivar inputs: what it read. :ivar outputs: what it wrote; what the rows went to is the first.
    :ivar columns: from each field of the first output to the inputs and their columns that it is made of.
    :ivar rows: how many rows the first output got; None if that is not known.
    """

    inputs: Sequence[Dataset] = ()
    outputs: Sequence[Dataset] = ()
    columns: Columns = field(default_factory=dict)
    rows: int | None = None


def resource_dataset(base_url: str, resource: str, fields: Sequence[str] | None = None) -> Dataset:
    """Return one of PihuPulse's lists."""
    known = tuple(MODELS[resource].model_fields) if fields is None else tuple(fields)
    return Dataset(openlineage_namespace(base_url), resource, known)


def file_dataset(path: Any, fields: Sequence[str] = ()) -> Dataset:
    """Return a file, at any path of Airflow's object storage; a connection in the path is left out."""
    scheme, separator, rest = str(path).partition("://")
    if not separator or scheme == "file":
        return Dataset("file", rest if separator else str(path), tuple(fields))
    where, _, name = rest.partition("/")
    connection, _, bucket = where.rpartition("@")
    if connection and scheme in _ON_AZURE and "." in bucket:  # it is a container of an account
        bucket = where
    return Dataset(f"{_SCHEMES.get(scheme, scheme)}://{bucket}", name.lstrip("/") or "/", tuple(fields))


def table_dataset(url: Any, table: str, default_schema: str | None, fields: Sequence[str] = ()) -> Dataset:
    """Return a table of a database.

    :param url: SQLAlchemy's of the database. :param table: the table's name, maybe with its schema before a dot.
    """
    dialect = url.get_backend_name()
    scheme, port = _DATABASES.get(dialect, (dialect, None))
    name = ".".join(filter(None, [url.database, default_schema if "." not in table else None, table]))
    if url.host is None:
        return Dataset("file", f"{url.database}/{table}", tuple(fields))
    where = url.port or port
    return Dataset(f"{scheme}://{url.host}{f':{where}' if where else ''}", name, tuple(fields))


def query_columns(sql: str, url: Any) -> dict[str, list[tuple[Dataset, str]]]:
    """Return the columns of a query's result, and of which tables' columns they are made.

    The parser is OpenLineage's own: it tells nothing of what it can't read, and of ``*`` the tables alone, which are
    then behind the empty name.
    """
    from openlineage_sql import parse

    dialect = url.get_backend_name()
    schema = "public" if dialect == "postgresql" else None
    meta = parse([sql], dialect=_DATABASES.get(dialect, (dialect,))[0], default_schema=schema)
    tables = {table.qualified_name: table_dataset(url, table.qualified_name, schema) for table in meta.in_tables}
    found = {"": [(table, "") for table in tables.values()]}
    for column in meta.column_lineage:
        parts = [(tables.get(one.origin.qualified_name), one.name) for one in column.lineage if one.origin]
        found[column.descendant.name] = [(table, name) for table, name in parts if table is not None]
    return found


def of_source(source: Dataset, columns: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[Dataset, str]]]:
    """Return the columns of fields that are all made of one source."""
    return {name: [(source, column) for column in several] for name, several in columns.items()}


def openlineage(lineage: Lineage) -> Any:
    """Return what the OpenLineage provider asks an operator for; only call it where that is installed."""
    from airflow.providers.common.compat.openlineage.facet import (
        InputDataset,
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
    )
    from airflow.providers.openlineage.extractors import OperatorLineage

    inputs = [InputDataset(one.namespace, one.name, facets=_schema(one)) for one in lineage.inputs]
    outputs = [OutputDataset(one.namespace, one.name, facets=_schema(one)) for one in lineage.outputs]
    if outputs and lineage.columns:
        outputs[0].facets = {**(outputs[0].facets or {}), "columnLineage": _column_lineage(lineage.columns)}
    if outputs and lineage.rows is not None:
        outputs[0].outputFacets = {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=lineage.rows)}
    return OperatorLineage(inputs=inputs, outputs=outputs)


def _schema(dataset: Dataset) -> dict[str, Any]:
    from airflow.providers.common.compat.openlineage.facet import SchemaDatasetFacet, SchemaDatasetFacetFields

    if not dataset.fields:
        return {}
    return {"schema": SchemaDatasetFacet(fields=[SchemaDatasetFacetFields(name=one) for one in dataset.fields])}


def _column_lineage(columns: Columns) -> Any:
    from airflow.providers.common.compat.openlineage.facet import ColumnLineageDatasetFacet, Fields, InputField

    return ColumnLineageDatasetFacet(
        fields={
            name: Fields(
                inputFields=[InputField(source.namespace, source.name, column) for source, column in sources],
                transformationType="IDENTITY",
            )
            for name, sources in columns.items()
        }
    )
