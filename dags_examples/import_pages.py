"""Fetch applicants from a source of your own, several pages at once, and import each page.

Every page is a mapped task that returns a list of people, and every list is imported by a mapped task of its own. In
place of `fetch`, call your applicant tracking system.
"""

from __future__ import annotations

from airflow.sdk import Param, dag, task

from pihupulse_provider.operators.candidates import PihuPulseImportCandidatesOperator


@dag(
    doc_md=__doc__,
    schedule=None,
    params={"pages": Param(3, type="integer", minimum=1, maximum=100, description="How many pages to fetch")},
    tags=["pihupulse"],
)
def import_pages():
    @task
    def pages(params) -> list[int]:
        return list(range(1, params["pages"] + 1))

    @task
    def fetch(page: int) -> list[dict[str, str]]:
        return [{"name": f"Applicant {page}-{n}", "email": f"applicant.{page}.{n}@example.com"} for n in range(1, 6)]

    imported = PihuPulseImportCandidatesOperator.partial(task_id="import_candidates").expand(
        source=fetch.expand(page=pages())
    )

    @task
    def count(imports) -> int:
        return sum(one["created"] for one in imports)

    count(imported.output)


import_pages()
