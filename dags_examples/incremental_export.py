"""Land the candidates that changed since the last run as Parquet, and count all of them by status with DuckDB."""

from __future__ import annotations

from airflow.sdk import Param, Variable, dag, task

from pihupulse_provider.transfers.pihupulse_to_storage import PihuPulseToStorageOperator

LATEST = """
    SELECT status, count(*) AS candidates
    FROM (SELECT DISTINCT ON (id) * FROM read_parquet($1) ORDER BY id, updated_at DESC)
    GROUP BY status ORDER BY status
"""


@dag(
    doc_md=__doc__,
    schedule="@hourly",
    catchup=False,
    max_active_runs=1,
    params={"folder": Param("file:///tmp/pihupulse/candidates", type="string", description="A local folder")},
    tags=["pihupulse"],
)
def incremental_export():
    exported = PihuPulseToStorageOperator(
        task_id="export_candidates",
        resource="candidates",
        path="{{ params.folder }}/{{ run_id }}.parquet",
        updated_since="{{ var.value.get('pihupulse_candidates_watermark', '') }}",
    )

    @task
    def count_by_status(path: str) -> dict[str, int]:
        import duckdb

        folder = path.rpartition("/")[0].removeprefix("file://")
        return dict(duckdb.execute(LATEST, [f"{folder}/*.parquet"]).fetchall())

    @task
    def remember(watermark: str) -> None:
        Variable.set("pihupulse_candidates_watermark", watermark)

    count_by_status(exported.output["path"]) >> remember(exported.output["watermark"])


incremental_export()
