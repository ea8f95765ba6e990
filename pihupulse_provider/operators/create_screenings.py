"""The operator that creates screenings in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import Context

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.creating.options import check_on_existing
from pihupulse_provider.creating.readers import FileFormat, Row, Source
from pihupulse_provider.operators.bulk import BulkOperator
from pihupulse_provider.operators.storage import open_source
from pihupulse_provider.waiting.statuses import FAILED


class PihuPulseCreateScreeningsOperator(BulkOperator):
    """Create one screening for each of many candidates, each once (API reference, "Create Screening").

    One screening and, with ``send_invitation``, one e-mail each, also over retries, killed workers and lost answers.
    A candidate that is named twice is screened once.

    The XCom is ``{"rows", "created", "existing", "duplicates", "rejected", "requests", "seconds", "results_path",
    "rejects_path"}``.

    :param candidate_ids: ids of candidates, or objects with an ``id``; or the ``results_path`` of an import, or the
        import's XCom with its ``results_path``. (templated)
    :param template_id: the screening template's id. (templated)
    :param job_title: the job that the candidates are screened for. (templated)
    :param send_invitation: whether PihuPulse mails the candidates.
    :param on_existing: what to do with a candidate who has a screening by this template that has not failed: ``skip``
        them, ``create`` another one, or ``fail`` before anything is created.
    :param failed_statuses: statuses that end a screening badly, upper and lower case alike.
    :param max_rejects: how many candidates may be missing or refused: a count, or a share of them below 1.
    :param results_path: where ``{"row", "status", "id"}`` of each screening goes, as JSON Lines. (templated)
    :param rejects_path: where ``{"row", "field", "reason"}`` of each problem goes, as JSON Lines. (templated)
    :param pihupulse_conn_id: the connection. (templated)
    :raises RejectedRowsError: if more candidates can't be screened than ``max_rejects``.
    :raises ExistingRowsError: if ``on_existing`` is ``fail`` and there are some.
    """

    template_fields: Sequence[str] = ("candidate_ids", "template_id", "job_title", *BulkOperator.template_fields)
    native_fields: ClassVar[tuple[str, ...]] = ("candidate_ids",)

    def __init__(
        self,
        *,
        candidate_ids: str | Iterable[Any] | Mapping[str, Any],
        template_id: str,
        job_title: str | None = None,
        send_invitation: bool = False,
        on_existing: str = "skip",
        failed_statuses: Sequence[str] = FAILED,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.candidate_ids = candidate_ids
        self.template_id = template_id
        self.job_title = job_title
        self.send_invitation = send_invitation
        self.on_existing = check_on_existing(on_existing)
        self.failed_statuses = failed_statuses

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the screenings."""
        from pihupulse_provider.creating.resources import ScreeningResource

        kind = ScreeningResource(
            self.template_id,
            self.job_title,
            send_invitation=self.send_invitation,
            failed_statuses=self.failed_statuses,
        )
        terms = {"on_existing": self.on_existing, "on_repeated": "skip"}
        candidate_ids = self.reveal("candidate_ids")
        path = _results_path(candidate_ids)
        if path is None:
            return self.create(context, kind, _named(candidate_ids), **terms)
        with open_source(path, FileFormat("jsonl")) as results:
            rows = (_of_result(row) for row in results.rows if _has_candidate(row))
            return self.create(context, kind, Source(rows), **terms)


def _results_path(candidate_ids: Any) -> str | None:
    if isinstance(candidate_ids, Mapping):
        path = candidate_ids.get("results_path")
        if path is None and "id" not in candidate_ids:
            raise ConfigurationError(
                "candidate_ids is an object with neither a results_path nor an id. Set results_path of the import "
                "before it, or give a list of ids."
            )
        return path
    is_path = isinstance(candidate_ids, str) and "/" in candidate_ids
    return candidate_ids if is_path else None


def _named(candidate_ids: Any) -> Source:
    single = isinstance(candidate_ids, str | Mapping)
    ids = [candidate_ids] if single else candidate_ids
    named = (one.get("id") if isinstance(one, Mapping) else one for one in ids)
    return Source(Row(number, {"candidate_id": one}) for number, one in enumerate(named, start=1))


def _has_candidate(row: Row) -> bool:
    return row.values is None or row.values.get("status") != "rejected"


def _of_result(row: Row) -> Row:
    if row.values is None:
        return row
    return Row(int(row.values.get("row", row.number)), {"candidate_id": row.values.get("id")})
