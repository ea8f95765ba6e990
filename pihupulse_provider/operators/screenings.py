"""Operators for screenings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import Context, conf

from pihupulse_provider.api import clock
from pihupulse_provider.api.clock import seconds
from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.creating.options import CreateOptions, check_on_existing
from pihupulse_provider.creating.readers import Source
from pihupulse_provider.operators.base import PihuPulseOperator, boolean, is_literal, job_options, texts
from pihupulse_provider.operators.bulk import BulkOperator
from pihupulse_provider.operators.ids import candidate_rows, results_paths_in
from pihupulse_provider.operators.links import PihuPulsePageLink
from pihupulse_provider.triggers.waiting import begin_wait, end_wait, resume_wait, wait_here
from pihupulse_provider.waiting.wait_spec import FAILED, WaitSpec
from pihupulse_provider.waiting.wait_state import ScreeningSnapshot

if TYPE_CHECKING:
    from pihupulse_provider.api.models import NewScreening, Screening
    from pihupulse_provider.operators.lineage import Columns, Dataset

WEEK = 7 * 24 * 3600.0


class PihuPulseCreateScreeningOperator(PihuPulseOperator):
    """Create one screening, once, and if wanted wait for it and return its report (API reference, "Create Screening").

    A retry, a killed worker or a lost response neither makes a second screening nor sends a second invitation: what a
    try left in doubt is looked up by candidate and template first. Clearing a task that succeeded gives the same
    screening again.

    The XCom is the screening's JSON, so ``output["id"]`` is its id; with ``wait_for_completion`` it is the report's,
    less the candidate's name and the summary.

    :param candidate_id: the candidate's id. (templated)
    :param template_id: the screening template's id. (templated)
    :param job_title: the job that the candidate is screened for. (templated)
    :param send_invitation: whether PihuPulse mails the candidate. (templated)
    :param on_existing: what to do if the candidate has a screening by this template that has not failed: ``skip`` it
        and return that one, ``create`` another one, or ``fail``.
    :param wait_for_completion: whether to wait until it is completed, and return its report.
    :param deferrable: whether to wait in the triggerer, without a worker; by default as ``[operators]
        default_deferrable`` says.
    :param poke_interval: seconds or a timedelta between two polls.
    :param timeout: seconds or a timedelta after which waiting ends in ``AirflowSensorTimeout``.
    :param failed_statuses: statuses that end a screening badly, upper and lower case alike. (templated)
    :param pihupulse_conn_id: the connection. (templated)
    :param include_personal: whether the XCom also gets personal fields and undocumented ones.
    :raises ConfigurationError: naming each field that is empty or of no use, before a request is spent.
    :raises ExistingRowsError: if ``on_existing`` is ``fail`` and there is one.
    :raises DuplicateCreateError: if the look-up finds more than one match.
    :raises ScreeningFailedError: if it ended badly; the task then fails without a retry.
    """

    template_fields: Sequence[str] = (
        "candidate_id",
        "template_id",
        "job_title",
        "send_invitation",
        "failed_statuses",
        "pihupulse_conn_id",
    )
    native_fields: ClassVar[tuple[str, ...]] = ("send_invitation", "failed_statuses")
    decisive_fields: ClassVar[tuple[str, ...]] = ("failed_statuses",)
    operator_extra_links = (PihuPulsePageLink(),)
    reads: ClassVar[Sequence[str]] = ("candidates", "templates")
    writes: ClassVar[Sequence[str]] = ("screenings",)

    def __init__(
        self,
        *,
        candidate_id: str,
        template_id: str,
        job_title: str | None = None,
        send_invitation: bool | str = False,
        on_existing: str = "skip",
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 60.0,
        timeout: timedelta | float | None = WEEK,
        failed_statuses: Sequence[str] = FAILED,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.candidate_id = candidate_id
        self.template_id = template_id
        self.job_title = job_title
        self.send_invitation = send_invitation
        self.on_existing = check_on_existing(on_existing)
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poke_interval = seconds("poke_interval", poke_interval)
        self.timeout = None if timeout is None else seconds("timeout", timeout)
        self.failed_statuses = failed_statuses
        if is_literal(send_invitation):
            boolean("send_invitation", send_invitation)

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the screening, or find the one that an earlier try created; wait for it if wanted."""
        screening = self._create(context)
        return self._wait(context, screening) if self.wait_for_completion else self.output_of(screening)

    def resume(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Go on when the trigger has fired."""
        seen = resume_wait(
            self, self.hook.get_conn(), self.pihupulse_conn_id, self._spec(), method_name="resume", event=event
        )
        return self._report(seen)

    def end_at_limit(self, context: Context) -> dict[str, Any]:
        """Return the report if the screening was completed in time, or fail as a wait that is over does."""
        spec = self._spec().of({self._create(context).id: self.candidate_id}, clock.now() - (self.timeout or 0.0))
        return self._report(end_wait(self.hook.get_conn(), spec, self.log))

    def _create(self, context: Context) -> Screening:
        from pihupulse_provider.creating.once import create_screening_once

        new, spec = self._checked(), self._spec()
        options = CreateOptions(**job_options(context), on_existing=self.on_existing)
        return create_screening_once(
            self.hook.connect, self.hook.ledger, options, new, failed_statuses=spec.failed_statuses
        )

    def _wait(self, context: Context, screening: Screening) -> dict[str, Any]:
        spec = self._spec().of({screening.id: self.candidate_id}, clock.now())
        client = self.hook.get_conn()
        if self.deferrable:
            return self._report(begin_wait(self, client, self.pihupulse_conn_id, spec, "resume"))
        from pihupulse_provider.operators.activity import ShownWait

        shown = ShownWait(self.hook, context)
        with shown.until_end():
            return self._report(wait_here(client, spec, self.log, show=shown.show))

    def _report(self, seen: Sequence[ScreeningSnapshot]) -> dict[str, Any]:
        return self.output_of(self.hook.get_report(seen[0].screening_id))

    def _spec(self) -> WaitSpec:
        return WaitSpec(
            screenings={},
            started_at=0.0,
            interval=self.poke_interval,
            timeout=self.timeout,
            failed_statuses=texts("failed_statuses", self.reveal("failed_statuses")),
        )

    def _checked(self) -> NewScreening:
        from pydantic import ValidationError

        from pihupulse_provider.api.models import NewScreening

        _check_not_empty(candidate_id=self.candidate_id, template_id=self.template_id)
        try:
            return NewScreening(
                candidate_id=self.candidate_id,
                template_id=self.template_id,
                job_title=self.job_title,
                send_invitation=boolean("send_invitation", self.reveal("send_invitation")),
            )
        except ValidationError as error:
            names = sorted({str(item["loc"][0]) for item in error.errors()})
            raise ConfigurationError(f"Nothing was sent: {' and '.join(names)} must be text.") from None


class PihuPulseCreateScreeningsOperator(BulkOperator):
    """Create one screening for each of many candidates, each once (API reference, "Create Screening").

    One screening and, with ``send_invitation``, one e-mail each, also over retries, killed workers and lost responses.
    A candidate that is named twice is screened once.

    The XCom is ``{"rows", "created", "existing", "duplicates", "rejected", "requests", "seconds", "results_path",
    "rejects_path"}``.

    :param candidate_ids: ids of candidates, or objects with an ``id``; or the ``results_path`` of an import, or the
        import's XCom with its ``results_path``; or a list of any of these, also of lists, such as mapped tasks return.
        (templated)
    :param template_id: the screening template's id. (templated)
    :param job_title: the job that the candidates are screened for. (templated)
    :param send_invitation: whether PihuPulse mails the candidates. (templated)
    :param on_existing: what to do with a candidate who has a screening by this template that has not failed: ``skip``
        them, ``create`` another one, or ``fail`` before anything is created.
    :param failed_statuses: statuses that end a screening badly, upper and lower case alike. (templated)
    :param max_rejects: how many candidates may be missing or refused: a count, or a share of them below 1.
    :param results_path: where ``{"row", "status", "id"}`` of each screening goes, as JSON Lines. (templated)
    :param rejects_path: where ``{"row", "field", "reason"}`` of each problem goes, as JSON Lines. (templated)
    :param pihupulse_conn_id: the connection. (templated)
    :raises RejectedRowsError: if more candidates can't be screened than ``max_rejects``.
    :raises ExistingRowsError: if ``on_existing`` is ``fail`` and there are some.
    """

    template_fields: Sequence[str] = (
        "candidate_ids",
        "template_id",
        "job_title",
        "send_invitation",
        "failed_statuses",
        *BulkOperator.template_fields,
    )
    native_fields: ClassVar[tuple[str, ...]] = ("candidate_ids", "send_invitation", "failed_statuses")
    decisive_fields: ClassVar[tuple[str, ...]] = ("candidate_ids", "template_id", "failed_statuses")
    writes: ClassVar[Sequence[str]] = ("screenings",)

    def __init__(
        self,
        *,
        candidate_ids: str | Iterable[Any] | Mapping[str, Any],
        template_id: str,
        job_title: str | None = None,
        send_invitation: bool | str = False,
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
        if is_literal(send_invitation):
            boolean("send_invitation", send_invitation)

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the screenings."""
        from pihupulse_provider.creating.resources import ScreeningResource

        _check_not_empty(template_id=self.template_id)
        resource = ScreeningResource(
            self.template_id,
            self.job_title,
            send_invitation=boolean("send_invitation", self.reveal("send_invitation")),
            failed_statuses=texts("failed_statuses", self.reveal("failed_statuses")),
        )
        source = Source(candidate_rows(self.reveal("candidate_ids")))
        return self.create(context, resource, source, on_existing=self.on_existing, on_repeated="skip")

    def read_files(self) -> Iterable[tuple[str, Any]]:
        """Return the files of results that name candidates."""
        return (("candidate_ids", path) for path in results_paths_in(self.reveal("candidate_ids")))

    def sources(self) -> tuple[Sequence[Dataset], Columns]:
        """Return the list of candidates, and the files that name them."""
        from pihupulse_provider.operators.lineage import file_dataset, of_source, resource_dataset

        candidates = resource_dataset(self.hook.account.base_url, "candidates")
        files = [file_dataset(path) for _, path in self.read_files()]
        return [candidates, *files], of_source(candidates, {"candidate_id": ["id"]})


def _check_not_empty(**ids: Any) -> None:
    empty = [name for name, value in ids.items() if not str(value or "").strip()]
    if empty:
        raise ConfigurationError(f"Nothing was sent: {' and '.join(empty)} must not be empty.")
