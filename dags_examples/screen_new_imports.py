"""Screen whoever was imported, as soon as an import has ended.

Every import updates the asset `pihupulse://<connection id>/candidates`, and this DAG runs when it does. One run may
stand for several imports: the events that triggered it hold what each import returned, with the path of its results. An
import without a `results_path` names nobody, so it is left out.
"""

from __future__ import annotations

from airflow.sdk import Asset, Param, dag, task

from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningsOperator


@dag(
    schedule=[Asset("pihupulse://pihupulse_default/candidates")],
    doc_md=__doc__,
    params={"template_id": Param("t54321", type="string", description="A screening template's id")},
    tags=["pihupulse"],
)
def screen_new_imports():
    @task
    def imports(triggering_asset_events):
        extras = [event.extra for events in triggering_asset_events.values() for event in events]
        return [extra for extra in extras if extra.get("results_path")]

    PihuPulseCreateScreeningsOperator(
        task_id="create_screenings",
        candidate_ids=imports(),
        template_id="{{ params.template_id }}",
        send_invitation=True,
    )


screen_new_imports()
