"""Create a candidate, screen them, and read the report: the shortest useful DAG.

Trigger it with a configuration such as ``{"name": "Alex Johnson", "email": "alex.johnson@example.com"}``.
"""

from __future__ import annotations

from airflow.sdk import Param, dag

from pihupulse_provider.operators.candidates import PihuPulseCreateCandidateOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningOperator


@dag(
    doc_md=__doc__,
    schedule=None,
    params={
        "name": Param("Alex Johnson", type="string"),
        "email": Param("alex.johnson@example.com", type="string", format="email"),
        "template_id": Param("t54321", type="string", description="A screening template's id"),
        "job_title": Param("Senior Frontend Developer", type="string"),
    },
    tags=["pihupulse"],
)
def screen_one_candidate():
    candidate = PihuPulseCreateCandidateOperator(
        task_id="create_candidate",
        name="{{ params.name }}",
        email="{{ params.email }}",
    )
    PihuPulseCreateScreeningOperator(
        task_id="screen",
        candidate_id=candidate.output["id"],
        template_id="{{ params.template_id }}",
        job_title="{{ params.job_title }}",
        send_invitation=True,
        wait_for_completion=True,
        deferrable=True,
        poke_interval=5,  # seconds, as the local PihuPulse is quick; people take longer
    )


screen_one_candidate()
