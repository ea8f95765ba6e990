"""One real Airflow and one local PihuPulse for all integration tests: starting one takes half a minute."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.store.store_url import parse_store_url
from tests.integration.examples import ExampleRuns, copy_examples, make_warehouse
from tests.integration.forked_airflow import ForkedAirflow
from tests.servers import empty_database

SETTINGS = {
    "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "1000",
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS": "pihupulse_default",
    # Nobody changes a DAG's file, and reading one takes a process of its own. Airflow 3.0 begins to watch an asset when
    # a DAG that is not paused is read again.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600" if AIRFLOW_V_3_1_PLUS else "15",
    # A triggerer that was killed is given up for dead after 8 seconds instead of 30.
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the examples, which look for complaints in the log: later tests let things go wrong."""
    items.sort(key=lambda item: item.path.name != "test_examples.py" or "integration" not in item.path.parts)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A local PihuPulse with the Enterprise plan, whose screenings end only when a test says so."""
    with Sandbox(plan="enterprise", start_seconds=1e9, screening_seconds=1e9) as running:
        yield running


@pytest.fixture(scope="session")
def openlineage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the OpenLineage provider writes its events to."""
    return tmp_path_factory.mktemp("openlineage") / "events.jsonl"


@pytest.fixture(scope="session")
def database(postgres_url: str) -> Iterator[str]:
    """Airflow's database: on SQLite, which a busy machine keeps locked, its schedulers end, and its tasks fail."""
    with empty_database(postgres_url) as url:
        yield parse_store_url(url).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def airflow(
    tmp_path_factory: pytest.TempPathFactory, database: str, sandbox: Sandbox, openlineage: Path
) -> Iterator[ForkedAirflow]:
    """An Airflow whose connection ``pihupulse_default`` is the sandbox, with our DAGs and the examples."""
    dags, output = tmp_path_factory.mktemp("dags"), tmp_path_factory.mktemp("output")
    shutil.copytree(Path(__file__).with_name("dags"), dags / "tests")
    copy_examples(dags / "examples", output)
    transport = {"type": "file", "log_file_path": str(openlineage), "append": True}
    env = {
        "AIRFLOW_CONN_PIHUPULSE_DEFAULT": sandbox.connection_json,
        "AIRFLOW_CONN_WAREHOUSE": make_warehouse(output / "warehouse.db"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        **SETTINGS,
    }
    with ForkedAirflow(tmp_path_factory.mktemp("airflow"), dags, env) as running:
        yield running


@pytest.fixture(scope="session")
def example_runs(airflow: ForkedAirflow, sandbox: Sandbox) -> ExampleRuns:
    """Every example, run with its defaults."""
    return ExampleRuns(airflow, sandbox).run()
