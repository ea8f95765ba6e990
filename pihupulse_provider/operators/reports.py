"""Operators for reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import Context

from pihupulse_provider.operators.base import PihuPulseOperator


class PihuPulseGetReportOperator(PihuPulseOperator):
    """Fetch the report of a completed screening (API reference, "Get Screening Report").

    The XCom has scores, strengths, areas for improvement and the recommendation; the candidate's name and the
    summary, which names them, only with ``include_personal``.

    :param screening_id: the screening's id. (templated)
    :param pihupulse_conn_id: the connection. (templated)
    :param include_personal: whether the XCom also gets ``candidate_name`` and ``summary``.
    :raises NotFoundError: if there is no such screening, or it is not completed.
    """

    template_fields: Sequence[str] = ("screening_id", "pihupulse_conn_id")
    reads: ClassVar[Sequence[str]] = ("reports",)

    def __init__(self, *, screening_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.screening_id = screening_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Fetch the report."""
        report = self.hook.get_report(self.screening_id)
        self.log.info(
            "The report of screening %s, completed at %s, gives a score of %s.",
            self.screening_id,
            report.completed_at,
            report.score,
        )
        return self.output_of(report)
