"""Operators for candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import Context

from pihupulse_provider.api.logs import counted
from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.options import CreateOptions, check_on_existing
from pihupulse_provider.creating.readers import FileFormat, read_records
from pihupulse_provider.operators.base import PihuPulseOperator, job_options
from pihupulse_provider.operators.bulk import ImportOperator
from pihupulse_provider.operators.storage import open_source

if TYPE_CHECKING:
    from pihupulse_provider.operators.lineage import Columns, Dataset

_NO_ALERTS = {"email_on_failure": False, "email_on_retry": False}


class PihuPulseCreateCandidateOperator(PihuPulseOperator):
    """Create one candidate, once (API reference, "Create Candidate").

    A retry, a killed worker or a lost response does not make a second one: what a try left in doubt is looked up by
    e-mail address first. Clearing a task that succeeded gives the same candidate again.

    The XCom is the candidate's JSON less the personal fields, so ``output["id"]`` is its id. What the personal
    fields are rendered to is not stored.

    Airflow mails a task that fails or retries to its ``email``, by default and also from ``default_args`` (Airflow 3.0
    to 3.3). That is the candidate's here, so these alerts are off: have a notifier in ``on_failure_callback`` instead.
    On Airflow 3.0 a mapped task can't have ``email`` in ``partial()``.

    :param name: the candidate's name. (templated)
    :param email: their e-mail address. (templated)
    :param phone: their phone number, with the country code. (templated)
    :param resume_url: where their résumé can be fetched. (templated)
    :param on_existing: what to do if a candidate of the account has the address already: ``create`` another one,
        ``skip`` it and return that one, or ``fail``. Whether there is one shows only in the list of all candidates: 100
        a request, which ``create`` does without.
    :param pihupulse_conn_id: the connection. (templated)
    :param include_personal: whether the XCom also gets the personal fields.
    :raises InvalidCandidateError: naming each field that PihuPulse could not use, before a request is spent.
    :raises ExistingRowsError: if ``on_existing`` is ``fail`` and there is one.
    :raises DuplicateCreateError: if the look-up finds more than one match.
    :raises DeletedError: if the task created it, and somebody has deleted it since.
    """

    private_fields: ClassVar[tuple[str, ...]] = ("name", "email", "phone", "resume_url")
    template_fields: Sequence[str] = (*private_fields, "pihupulse_conn_id")
    writes: ClassVar[Sequence[str]] = ("candidates",)

    def __init__(
        self,
        *,
        name: str,
        email: str,
        phone: str | None = None,
        resume_url: str | None = None,
        on_existing: str = "create",
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, **_NO_ALERTS, "email": None})
        self.on_existing = check_on_existing(on_existing)
        self.name = name
        self.email = email
        self.phone = phone
        self.resume_url = resume_url

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task; an ``email`` in ``default_args`` is not this one's."""
        begun = super().partial(**{**kwargs, **_NO_ALERTS})
        if "email" not in kwargs:
            begun.kwargs.pop("email", None)
        return begun

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the candidate, or find the one that an earlier try created."""
        from pihupulse_provider.creating.once import create_candidate_once

        new = CandidateInput().read({field: self.reveal(field) for field in self.private_fields})
        options = CreateOptions(**job_options(context), on_existing=self.on_existing)
        return self.output_of(create_candidate_once(self.hook.connect, self.hook.ledger, options, new))


class PihuPulseGetCandidateOperator(PihuPulseOperator):
    """Fetch one candidate with skills, education and screenings (API reference, "Get Candidate").

    :param candidate_id: the candidate's id. (templated)
    :param pihupulse_conn_id: the connection. (templated)
    :param include_personal: whether the XCom also gets name, e-mail, phone and résumé link.
    :raises NotFoundError: if there is no such candidate.
    """

    template_fields: Sequence[str] = ("candidate_id", "pihupulse_conn_id")
    reads: ClassVar[Sequence[str]] = ("candidates",)

    def __init__(self, *, candidate_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.candidate_id = candidate_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Fetch the candidate."""
        candidate = self.hook.get_candidate(self.candidate_id)
        screenings = counted(len(candidate.screenings or ()), "screening")
        self.log.info("Candidate %s has %s.", self.candidate_id, screenings)
        return self.output_of(candidate)


class PihuPulseImportCandidatesOperator(ImportOperator):
    """Create a candidate for each row of a file or a list, each once (API reference, "Create Candidate").

    Every row is checked before a request is spent. Then 16 requests are in flight, as fast as the account's limit
    allows. A retry goes on where the last try was killed; nothing is lost or doubled, also when responses were lost or
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

    template_fields: Sequence[str] = ("source", *ImportOperator.template_fields)
    native_fields: ClassVar[tuple[str, ...]] = ("source",)
    private_fields: ClassVar[tuple[str, ...]] = ("source",)

    def __init__(
        self,
        *,
        source: str | Iterable[Mapping[str, Any]],
        format: str | None = None,  # noqa: A002 - what users of other transfers expect
        encoding: str = "utf-8",
        delimiter: str = ",",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.file_format = FileFormat(format, encoding, delimiter)
        if isinstance(source, str) and "{" not in source:  # nothing is left to be rendered
            self.file_format.of(source)

    def execute(self, context: Context) -> dict[str, Any]:
        """Import the candidates."""
        source = self.reveal("source")
        if not _is_path(source):
            return self.create_candidates(context, read_records(source))
        with open_source(str(source), self.file_format, self.candidates.needed_of) as rows:
            return self.create_candidates(context, rows)

    def read_files(self) -> Iterable[tuple[str, Any]]:
        """Return the file; a list has no name."""
        source = self.reveal("source")
        return [("source", source)] if _is_path(source) else []

    def sources(self) -> tuple[Sequence[Dataset], Columns]:
        """Return the file and its columns; a list has no name."""
        from pihupulse_provider.operators.lineage import file_dataset, of_source

        source = self.reveal("source")
        if not _is_path(source):
            return [], {}
        columns = self.candidates.columns
        file = file_dataset(source, [column for several in columns.values() for column in several])
        return [file], of_source(file, columns)

    def is_private(self, value: Any) -> bool:
        """Return whether the source is a list of people; a path helps whoever reads the task's page."""
        return not _is_path(value)


def _is_path(source: Any) -> bool:
    return isinstance(source, str) or hasattr(source, "__fspath__") or hasattr(source, "fs")
