"""Keep a table of screenings up to date: the first run lands all of them, each later one what changed since.

It needs a connection `warehouse` to a database; the table is made there.
"""

from __future__ import annotations

from airflow.sdk import Param, Variable, dag, task

from pihupulse_provider.transfers.pihupulse_to_sql import PihuPulseToSqlOperator


@dag(
    doc_md=__doc__,
    schedule="@hourly",
    catchup=False,
    max_active_runs=1,
    params={"database": Param("warehouse", type="string", description="A connection that speaks SQL")},
    tags=["pihupulse"],
)
def land_in_sql():
    landed = PihuPulseToSqlOperator(
        task_id="land_screenings",
        resource="screenings",
        conn_id="{{ params.database }}",
        table="screenings",
        updated_since="{{ var.value.get('pihupulse_screenings_watermark', '') }}",
    )

    @task
    def remember(watermark: str) -> None:
        Variable.set("pihupulse_screenings_watermark", watermark)

    remember(landed.output["watermark"])


land_in_sql()
