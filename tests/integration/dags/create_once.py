"""Creates of which a test kills the worker."""

from __future__ import annotations

import json
import os
from datetime import timedelta

from airflow.sdk import Param, dag

from pihupulse_provider.operators.candidates import PihuPulseCreateCandidateOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningOperator


def prepare(context):
    """Choose the store, and let the first try wait for PihuPulse's answer until the test has killed it."""
    os.environ["AIRFLOW__PIHUPULSE__STORE_URL"] = context["params"]["store_url"]
    connection = json.loads(os.environ["AIRFLOW_CONN_PIHUPULSE_DEFAULT"])
    connection["extra"]["timeout"] = 300 if context["ti"].try_number == 1 else 5
    os.environ["AIRFLOW_CONN_PIHUPULSE_DEFAULT"] = json.dumps(connection)


@dag(
    schedule=None,
    params={name: Param(type="string") for name in ("store_url", "email", "candidate_id")},
    default_args={"retries": 1, "retry_delay": timedelta(seconds=3), "pre_execute": prepare},
)
def create_once():
    PihuPulseCreateCandidateOperator(task_id="candidate", name="Alex Johnson", email="{{ params.email }}")
    PihuPulseCreateScreeningOperator(
        task_id="screening", candidate_id="{{ params.candidate_id }}", template_id="t54321", send_invitation=True
    )


create_once()
