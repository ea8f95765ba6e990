"""Operators for screenings."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import Context, conf

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.creating.options import CreateOptions, check_on_existing
from pihupulse_provider.operators.base import PihuPulseOperator, create_terms, seconds
from pihupulse_provider.operators.create_screenings import PihuPulseCreateScreeningsOperator
from pihupulse_provider.triggers.waiting import begin_wait, resume_wait, wait_here
from pihupulse_provider.waiting.screening_snapshot import ScreeningSnapshot
from pihupulse_provider.waiting.statuses import FAILED
from pihupulse_provider.waiting.wait_spec import WaitSpec

if TYPE_CHECKING:
    from pihupulse_provider.api.models import NewScreening, Screening

__all__ = ["PihuPulseCreateScreeningOperator", "PihuPulseCreateScreeningsOperator"]

WEEK = 7 * 24 * 3600.0


class PihuPulseCreateScreeningOperator(PihuPulseOperator):
    """Create one screening, once, and if wanted wait for it and return its report (API reference, "Create Screening").

    A retry, a killed worker or a lost answer neither makes a second screening nor sends a second invitation: what a
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

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the screening, or find the one that an earlier try created; wait for it if wanted."""
        from pihupulse_provider.creating.once import create_screening_once

        new = _checked(
            candidate_id=self.candidate_id,
            template_id=self.template_id,
            job_title=self.job_title,
            send_invitation=self.send_invitation,
        )
        options = CreateOptions(**create_terms(context), on_existing=self.on_existing)
        screening = create_screening_once(
            self.hook.connect, self.hook.ledger, options, new, failed_statuses=self.failed_statuses
        )
        return self._wait(screening) if self.wait_for_completion else self.output_of(screening)

    def resume(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Go on when the trigger has fired."""
        seen = resume_wait(
            self, self.hook.get_conn(), self.pihupulse_conn_id, self._terms(), method_name="resume", event=event
        )
        return self._report(seen)

    def _wait(self, screening: Screening) -> dict[str, Any]:
        terms = self._terms().of({screening.id: self.candidate_id}, time.time())
        client = self.hook.get_conn()
        if self.deferrable:
            return self._report(begin_wait(self, client, self.pihupulse_conn_id, terms, "resume"))
        return self._report(wait_here(client, terms, self.log))

    def _report(self, seen: Sequence[ScreeningSnapshot]) -> dict[str, Any]:
        return self.output_of(self.hook.get_report(seen[0].screening_id))

    def _terms(self) -> WaitSpec:
        return WaitSpec(
            screenings={},
            started_at=0.0,
            interval=self.poke_interval,
            timeout=self.timeout,
            failed_statuses=tuple(self.reveal("failed_statuses")),
        )


def _checked(**fields: Any) -> NewScreening:
    from pydantic import ValidationError

    from pihupulse_provider.api.models import NewScreening

    empty = [name for name in ("candidate_id", "template_id") if not str(fields[name] or "").strip()]
    if empty:
        raise ConfigurationError(f"The screening was not sent: {' and '.join(empty)} must not be empty.")
    try:
        return NewScreening(**fields)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigurationError(f"The screening was not sent: {problems}.") from None
