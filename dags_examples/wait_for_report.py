"""Screen a candidate, sleep without a worker until the webhook says that the report is there, and read it.

It needs a receiver of webhooks: ``webhook_connections`` in the section ``[pihupulse]`` names the connection. Where none
can reach Airflow, give the sensor ``source="polling"``.
"""

from __future__ import annotations

from airflow.sdk import Param, dag

from pihupulse_provider.operators.candidates import PihuPulseCreateCandidateOperator
from pihupulse_provider.operators.reports import PihuPulseGetReportOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningOperator
from pihupulse_provider.sensors.event import PihuPulseEventSensor


@dag(
    doc_md=__doc__,
    schedule=None,
    params={
        "name": Param("Alex Johnson", type="string"),
        "email": Param("alex.johnson@example.com", type="string", format="email"),
        "template_id": Param("t54321", type="string", description="A screening template's id"),
    },
    tags=["pihupulse"],
)
def wait_for_report():
    candidate = PihuPulseCreateCandidateOperator(
        task_id="create_candidate",
        name="{{ params.name }}",
        email="{{ params.email }}",
    )
    screening = PihuPulseCreateScreeningOperator(
        task_id="create_screening",
        candidate_id=candidate.output["id"],
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
