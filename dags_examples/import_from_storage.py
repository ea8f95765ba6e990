"""Every night, import the candidates of a file in object storage.

A candidate who exists is left out, and up to 1% of the rows may be unusable: what is wrong with them is in a file of
its own. The task can be retried or its worker killed: it goes on where it was, and nobody is created twice.
"""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import Param, dag

from pihupulse_provider.operators.candidates import PihuPulseImportCandidatesOperator

SAMPLE = Path(__file__).with_name("candidates.csv").as_uri()


@dag(
    doc_md=__doc__,
    schedule="@daily",
    catchup=False,
    params={
        "source": Param(SAMPLE, type="string", description="Any object storage"),
        "results": Param("file:///tmp/pihupulse", type="string", description="A folder for the results"),
    },
    tags=["pihupulse"],
)
def import_from_storage():
    PihuPulseImportCandidatesOperator(
        task_id="import_candidates",
        source="{{ params.source }}",
        on_existing="skip",
        max_rejects=0.01,
        results_path="{{ params.results }}/{{ run_id }}/results.jsonl",
        rejects_path="{{ params.results }}/{{ run_id }}/rejects.jsonl",
    )


import_from_storage()
