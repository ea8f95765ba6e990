"""The whole funnel: import, screen, wait for most of them, land the reports, and let a person approve the shortlist.

It goes on when nine of ten screenings are completed, or after three days with those that are. The reports go to Parquet
for the analysts. A person approves the shortlist in Airflow's UI, from Airflow 3.1 on; on 3.0 it is handed on at once.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException
from airflow.sdk import ObjectStoragePath, Param, dag, task

from pihupulse_provider.operators.candidates import PihuPulseImportCandidatesOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningsOperator
from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor
from pihupulse_provider.transfers.pihupulse_to_storage import PihuPulseToStorageOperator

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator
except (ImportError, AirflowOptionalProviderFeatureException):  # Airflow 3.0
    ApprovalOperator = None

SAMPLE = Path(__file__).with_name("candidates.csv").as_uri()


@dag(
    doc_md=__doc__,
    schedule=None,
    params={
        "source": Param(SAMPLE, type="string", description="The file of candidates"),
        "folder": Param("file:///tmp/pihupulse", type="string", description="A folder for the results"),
        "template_id": Param("t54321", type="string", description="A screening template's id"),
        "pass_score": Param(75, type="integer", minimum=0, maximum=100),
    },
    tags=["pihupulse"],
)
def funnel():
    candidates = PihuPulseImportCandidatesOperator(
        task_id="import_candidates",
        source="{{ params.source }}",
        max_rejects=0.05,
        results_path="{{ params.folder }}/{{ run_id }}/candidates.jsonl",
        rejects_path="{{ params.folder }}/{{ run_id }}/rejects.jsonl",
    )
    screenings = PihuPulseCreateScreeningsOperator(
        task_id="create_screenings",
        candidate_ids=candidates.output["results_path"],
        template_id="{{ params.template_id }}",
        send_invitation=True,
        results_path="{{ params.folder }}/{{ run_id }}/screenings.jsonl",
    )
    outcomes = PihuPulseScreeningSensor(
        task_id="wait_for_most",
        screening_ids=screenings.output["results_path"],
        wait_for=0.9,
        deadline=timedelta(days=3),
        poke_interval=5,  # seconds, as the local PihuPulse is quick; people take longer
        results_path="{{ params.folder }}/{{ run_id }}/outcomes.jsonl",
        deferrable=True,
    )
    reports = PihuPulseToStorageOperator(
        task_id="land_reports",
        resource="reports",
        path="{{ params.folder }}/{{ run_id }}/reports.parquet",
        updated_since="{{ dag_run.start_date.isoformat() }}",
    )

    @task
    def shortlist(path, params):
        """Return the candidates above the score, the best first."""
        rows = [json.loads(line) for line in ObjectStoragePath(path).read_text().splitlines()]
        passed = [row for row in rows if (row["score"] or 0) >= params["pass_score"]]
        passed.sort(key=lambda row: row["score"], reverse=True)
        return [{"candidate_id": row["candidate_id"], "score": row["score"]} for row in passed]

    @task
    def hand_on(chosen):
        """Return the ids for whatever comes next: a calendar, an applicant tracking system."""
        return [one["candidate_id"] for one in chosen]

    chosen = shortlist(outcomes.output["results_path"])
    handed_on = hand_on(chosen)
    outcomes >> reports
    if ApprovalOperator is not None:
        approve = ApprovalOperator(
            task_id="approve",
            subject="Invite these candidates to an interview?",
            body="""
{% for one in ti.xcom_pull("shortlist") %}- {{ one.candidate_id }}: {{ one.score }}
{% endfor %}""",
        )
        chosen >> approve >> handed_on


funnel()
