"""The operator that imports candidates in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import Context

from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.options import check_on_existing
from pihupulse_provider.creating.readers import FileFormat, read_records
from pihupulse_provider.operators.bulk import BulkOperator
from pihupulse_provider.operators.storage import open_source


class PihuPulseImportCandidatesOperator(BulkOperator):
    """Create a candidate for each row of a file or a list, each once (API reference, "Create Candidate").

    Every row is checked before a request is spent. Then 16 requests are in flight, as fast as the account's limit
    allows. A retry goes on where the last try was killed; nothing is lost or doubled, also when answers were lost or
    the retry runs where nothing is known of the first try. Memory does not grow with the number of rows.

    The XCom is ``{"rows", "created", "existing", "duplicates", "rejected", "requests", "seconds", "results_path",
    "rejects_path"}``. A list is not stored among the rendered templates.

    :param source: the path of a CSV, JSON Lines or Parquet file, also ``.gz``, anywhere in Airflow's object storage;
        or a list of ``{"name", "email", "phone", "resume_url"}``. (templated)
    :param field_map: from each of these fields to its column, or to a list of columns that are joined with a space;
        None if the columns have the fields' names.
    :param on_existing: what to do with a row whose e-mail address (upper and lower case alike) a candidate of the
        account or an earlier row has: ``skip`` it, ``create`` it all the same, or ``fail`` before anything is created.
    :param max_rejects: how many invalid rows are allowed: a count, or a share of the rows below 1.
    :param results_path: where ``{"row", "status", "id"}`` of each row goes, as JSON Lines. (templated)
    :param rejects_path: where ``{"row", "field", "reason"}`` of each problem goes, as JSON Lines. (templated)
    :param format: ``csv``, ``jsonl`` or ``parquet``; None to go by the file's name.
    :param encoding: of CSV and JSON Lines. :param delimiter: between the fields of CSV.
    :param phone_region: the country (ISO 3166, such as ``US``) of phone numbers without a country code.
    :param drop_invalid_optional: whether a phone number or résumé link that can't be used, such as ``N/A``, is left
        out, rather than the row rejected.
    :param allow_special_domains: whether e-mail addresses may be of domains for special use, such as ``.test``,
        ``.local`` and names without a dot.
    :param pihupulse_conn_id: the connection. (templated)
    :raises RejectedRowsError: if more rows are invalid than ``max_rejects``.
    :raises ExistingRowsError: if ``on_existing`` is ``fail`` and there are some.
    :raises SourceError: if the source can't be read, or has changed since a try that created some of it.
    """

    template_fields: Sequence[str] = ("source", *BulkOperator.template_fields)
    native_fields: ClassVar[tuple[str, ...]] = ("source",)
    private_fields: ClassVar[tuple[str, ...]] = ("source",)

    def __init__(
        self,
        *,
        source: str | Iterable[Mapping[str, Any]],
        field_map: Mapping[str, str | Sequence[str]] | None = None,
        on_existing: str = "skip",
        format: str | None = None,  # noqa: A002 - what users of other transfers expect
        encoding: str = "utf-8",
        delimiter: str = ",",
        phone_region: str | None = None,
        drop_invalid_optional: bool = False,
        allow_special_domains: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.on_existing = check_on_existing(on_existing)
        self.file_format = FileFormat(format, encoding, delimiter)
        if isinstance(source, str) and "{" not in source:  # nothing is left to be rendered
            self.file_format.of(source)
        self.candidates = CandidateInput(
            field_map,
            phone_region=phone_region,
            drop_invalid_optional=drop_invalid_optional,
            allow_special_domains=allow_special_domains,
        )

    def execute(self, context: Context) -> dict[str, Any]:
        """Import the candidates."""
        from pihupulse_provider.creating.resources import CandidateResource

        kind = CandidateResource(self.candidates)
        terms = {"on_existing": self.on_existing, "on_repeated": self.on_existing}
        source = self.reveal("source")
        if not _is_path(source):
            return self.create(context, kind, read_records(source), **terms)
        with open_source(str(source), self.file_format) as rows:
            return self.create(context, kind, rows, **terms)

    def is_private(self, value: Any) -> bool:
        """Return whether the source is a list of people; a path helps whoever reads the task's page."""
        return not _is_path(value)


def _is_path(source: Any) -> bool:
    return isinstance(source, str) or hasattr(source, "__fspath__") or hasattr(source, "fs")
