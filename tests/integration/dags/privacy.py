"""Everything that is done with a candidate, from a file that Airflow does not see into."""

from __future__ import annotations

import csv
from pathlib import Path

from airflow.sdk import Param, dag

from pihupulse_provider.operators.candidates import (
    PihuPulseCreateCandidateOperator,
    PihuPulseGetCandidateOperator,
    PihuPulseImportCandidatesOperator,
)
from pihupulse_provider.operators.reports import PihuPulseGetReportOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningOperator


def person(path, number):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))[number]


FIELDS = ("name", "email", "phone", "resume_url")


def fields_of(number):
    return {field: f"{{{{ person(params.people, {number}).{field} }}}}" for field in FIELDS}


@dag(
    schedule=None,
    params={"people": Param(type="string")},
    user_defined_macros={"person": person},
    default_args={"retries": 0},
)
def privacy():
    created = PihuPulseCreateCandidateOperator(task_id="create", **fields_of(0))
    PihuPulseCreateCandidateOperator.partial(task_id="create_mapped").expand_kwargs([fields_of(0), fields_of(1)])
    PihuPulseCreateCandidateOperator(task_id="refuse", **{**fields_of(0), "phone": fields_of(0)["name"]})
    PihuPulseImportCandidatesOperator(task_id="import", source="{{ params.people }}", on_existing="create")
    PihuPulseGetCandidateOperator(task_id="get", candidate_id=created.output["id"])
    screened = PihuPulseCreateScreeningOperator(
        task_id="screen",
        candidate_id=created.output["id"],
        template_id="t54321",
        send_invitation=True,
        wait_for_completion=True,
        deferrable=True,
        poke_interval=1,
    )
    PihuPulseGetReportOperator(task_id="report", screening_id=screened.output["screening_id"])


privacy()
