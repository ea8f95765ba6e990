"""Screen a candidate, sleep without a worker until the webhook says that the report is there, and read it."""

from __future__ import annotations

from airflow.sdk import Param, dag

from pihupulse_provider.operators.reports import PihuPulseGetReportOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningOperator
from pihupulse_provider.sensors.event import PihuPulseEventSensor


@dag(
    doc_md=__doc__,
    schedule=None,
    params={
        "candidate_id": Param("c12345", type="string"),
        "template_id": Param("t54321", type="string"),
    },
    tags=["pihupulse"],
)
def wait_for_report():
    screening = PihuPulseCreateScreeningOperator(
        task_id="create_screening",
        candidate_id="{{ params.candidate_id }}",
        template_id="{{ params.template_id }}",
        send_invitation=True,
    )
    generated = PihuPulseEventSensor(
        task_id="wait_for_report",
        event="report.generated",
        screening_id=screening.output["id"],
        deferrable=True,
        timeout=3 * 24 * 3600,
    )
    report = PihuPulseGetReportOperator(task_id="get_report", screening_id=screening.output["id"])
    generated >> report


wait_for_report()
