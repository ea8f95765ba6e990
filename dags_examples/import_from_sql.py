"""Import the applicants of a database, read with a cursor on its side.

The query is bound by the run, so that a retry gets the same rows. It needs a connection `warehouse` to a database with
a table `applicants`: `first_name`, `last_name`, `mail`, and `applied_at` as text or a time.
"""

from __future__ import annotations

from airflow.sdk import Param, dag

from pihupulse_provider.transfers.sql_to_pihupulse import SqlToPihuPulseOperator


@dag(
    doc_md=__doc__,
    schedule="@daily",
    catchup=False,
    params={"database": Param("warehouse", type="string", description="A connection that speaks SQL")},
    tags=["pihupulse"],
)
def import_from_sql():
    SqlToPihuPulseOperator(
        task_id="import_applicants",
        conn_id="{{ params.database }}",
        sql="SELECT first_name, last_name, mail FROM applicants WHERE applied_at < '{{ dag_run.run_after }}'",
        field_map={"name": ["first_name", "last_name"], "email": "mail"},
    )


import_from_sql()
