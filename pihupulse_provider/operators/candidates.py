"""Operators for candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import Context

from pihupulse_provider.creating.options import CreateOptions, check_on_existing
from pihupulse_provider.operators.base import PihuPulseOperator, create_terms
from pihupulse_provider.operators.import_candidates import PihuPulseImportCandidatesOperator
from pihupulse_provider.operators.no_alerts import NoAlertsMixin

__all__ = [
    "PihuPulseCreateCandidateOperator",
    "PihuPulseGetCandidateOperator",
    "PihuPulseImportCandidatesOperator",
]


class PihuPulseCreateCandidateOperator(NoAlertsMixin, PihuPulseOperator):
    """Create one candidate, once (API reference, "Create Candidate").

    A retry, a killed worker or a lost answer does not make a second one: what a try left in doubt is looked up by
    e-mail address first. Clearing a task that succeeded gives the same candidate again.

    The XCom is the candidate's JSON less the personal fields, so ``output["id"]`` is its id. What the personal
    fields are rendered to is not stored.

    Airflow's own e-mail alerts are off for this task, since ``email`` is the candidate's: have a notifier in
    ``on_failure_callback`` instead. On Airflow 3.0 a mapped task can't have it in ``partial()``.

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

    template_fields: Sequence[str] = ("name", "email", "phone", "resume_url", "pihupulse_conn_id")
    private_fields: ClassVar[tuple[str, ...]] = ("name", "email", "phone", "resume_url")

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
        super().__init__(**kwargs)
        self.on_existing = check_on_existing(on_existing)
        self.name = name
        self.email = email
        self.phone = phone
        self.resume_url = resume_url

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the candidate, or find the one that an earlier try created."""
        from pihupulse_provider.creating.candidate_input import CandidateInput
        from pihupulse_provider.creating.once import create_candidate_once

        new = CandidateInput().read({field: self.reveal(field) for field in self.private_fields})
        options = CreateOptions(**create_terms(context), on_existing=self.on_existing)
        return self.output_of(create_candidate_once(self.hook.connect, self.hook.ledger, options, new))


class PihuPulseGetCandidateOperator(PihuPulseOperator):
    """Fetch one candidate with skills, education and screenings (API reference, "Get Candidate").

    :param candidate_id: the candidate's id. (templated)
    :param pihupulse_conn_id: the connection. (templated)
    :param include_personal: whether the XCom also gets name, e-mail, phone and résumé link.
    :raises NotFoundError: if there is no such candidate.
    """

    template_fields: Sequence[str] = ("candidate_id", "pihupulse_conn_id")

    def __init__(self, *, candidate_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.candidate_id = candidate_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Fetch the candidate."""
        return self.output_of(self.hook.get_candidate(self.candidate_id))
