"""From PihuPulse to object storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import Context

from pihupulse_provider.exporting.atomic_file import atomic_file
from pihupulse_provider.exporting.export import MODELS
from pihupulse_provider.exporting.file_formats import format_of, open_writer
from pihupulse_provider.operators.storage import check_writable, storage_path
from pihupulse_provider.transfers.export import ExportOperator

if TYPE_CHECKING:
    from pihupulse_provider.operators.lineage import Dataset


class PihuPulseToStorageOperator(ExportOperator):
    """Write all candidates, screenings, reports or templates to a file, for whoever analyses them.

    Pages are read 16 at a time, as fast as the account's limit allows, in memory that does not grow with their number.
    Every row that was there throughout is in the file exactly once, although rows come and go meanwhile. The file
    appears when it is complete: a reader never sees half of one. It holds personal data, as it was asked for.

    The XCom is ``{"rows", "watermark", "path", "requests", "seconds"}``.

    :param resource: ``candidates``, ``screenings``, ``reports`` (of all completed screenings) or ``templates``.
    :param path: where to, at any path of Airflow's object storage. (templated)
    :param format: ``jsonl`` (everything the service sent), ``csv`` or ``parquet`` (the documented fields); None to go
        by the path's ending. (templated)
    :param neutralise_formulas: whether a text in CSV that a spreadsheet would run as a formula, such as a name that
        begins with ``=``, gets an apostrophe before it; an import takes it off again.
    :param detail: whether to fetch each candidate whole (API reference, "Get Candidate"), one request each.
    :param status: which candidates: ``active``, ``archived`` or ``all``; None for all.
    :param updated_since: leaves out what has not changed since this ISO 8601 time; nothing is left out if it is empty.
        Candidates and templates go by ``updated_at``. Screenings and reports go by when they were completed; a
        screening that was not completed tells no time, and is always written. Give the ``watermark`` of the last run:
        it lies a minute before that run began to read. (templated)
    :param pihupulse_conn_id: the connection. (templated)
    :raises IncompleteReadError: if a list changes too fast to be read whole.
    :raises StorageError: if the file can't be written.
    """

    template_fields: Sequence[str] = ("path", "format", *ExportOperator.template_fields)
    decisive_fields: ClassVar[tuple[str, ...]] = ("path",)
    written_files: ClassVar[tuple[str, ...]] = ("path",)

    def __init__(
        self,
        *,
        path: str,
        format: str | None = None,  # noqa: A002 - what users of other transfers expect
        neutralise_formulas: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.check_own_files()
        self.format = format
        self.neutralise_formulas = neutralise_formulas
        if "{" not in f"{path}{format}":  # nothing is left to be rendered
            format_of(path, format)

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the file."""
        path = storage_path("path", self.path)
        file_format = format_of(str(self.path), self.format)
        check_writable("path", self.path)  # before hours of reading
        model, leave_out = MODELS[self.resource], self.fields_left_out
        with (
            atomic_file(path) as file,
            open_writer(file_format, file, model, leave_out, neutralise=self.neutralise_formulas) as writer,
        ):
            result = self.export(context, writer)
        self.log.info("%s has %s %s.", path, f"{result['rows']:,}", self.resource)
        return self.result(context, {**result, "path": str(path)})

    def target(self) -> Dataset:
        """Return the file."""
        from pihupulse_provider.operators.lineage import file_dataset

        return file_dataset(storage_path("path", self.path), self.fields)
