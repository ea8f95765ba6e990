"""Import a file of candidates, screen them all, wait without a worker, and read every report.

The candidates come from a CSV, JSON Lines or Parquet file at any path that Airflow's object storage can read. Each
task can be retried or its worker killed: nobody is created or invited twice.
"""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import Param, dag, task

from pihupulse_provider.operators.candidates import PihuPulseImportCandidatesOperator
from pihupulse_provider.operators.reports import PihuPulseGetReportOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningsOperator
from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor

SAMPLE = Path(__file__).with_name("candidates.csv").as_uri()


@dag(
    doc_md=__doc__,
    schedule=None,
    params={
        "source": Param(SAMPLE, type="string", description="The file of candidates"),
        "results": Param("file:///tmp/pihupulse", type="string", description="A folder for the results"),
        "template_id": Param("t54321", type="string", description="A screening template's id"),
        "job_title": Param("Senior Frontend Developer", type="string"),
    },
    tags=["pihupulse"],
)
def import_and_screen():
    candidates = PihuPulseImportCandidatesOperator(
        task_id="import_candidates",
        source="{{ params.source }}",
        results_path="{{ params.results }}/{{ run_id }}/candidates.jsonl",
    )
    screenings = PihuPulseCreateScreeningsOperator(
        task_id="create_screenings",
        candidate_ids=candidates.output["results_path"],
        template_id="{{ params.template_id }}",
        job_title="{{ params.job_title }}",
        send_invitation=True,
        results_path="{{ params.results }}/{{ run_id }}/screenings.jsonl",
    )
    completed = PihuPulseScreeningSensor(
        task_id="wait_for_screenings",
        screening_ids=screenings.output["results_path"],
        deferrable=True,
        poke_interval=5,
        timeout=3 * 24 * 3600,
    )
    reports = PihuPulseGetReportOperator.partial(task_id="get_report").expand(
        screening_id=completed.output.map(lambda outcome: outcome["screening_id"])
    )

    @task
    def shortlist(reports):
        """Return the candidates by score, the best first."""
        ranked = sorted(reports, key=lambda report: report["score"] or 0, reverse=True)
        return [{key: report[key] for key in ("candidate_id", "score", "recommendation")} for report in ranked]

    shortlist(reports.output)


import_and_screen()
