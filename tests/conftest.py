"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from tests.servers import postgres

if TYPE_CHECKING:
    from tests.dag_runs import DagRuns


def pytest_configure(config: pytest.Config) -> None:
    """Give Airflow a home of its own, before anything imports it and it reads its settings."""
    home = TemporaryDirectory(prefix="pihupulse-airflow-")
    config.add_cleanup(home.cleanup)
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    os.environ.update(AIRFLOW_HOME=home.name, AIRFLOW__CORE__LOAD_EXAMPLES="False")
    (Path(home.name) / "dags").mkdir()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server for the whole run: its SQLAlchemy URL."""
    with postgres() as url:
        yield url


@pytest.fixture(scope="session")
def dag_runs() -> DagRuns:
    """Runs DAGs in this process, on a database of Airflow that lives as long as the tests."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    from tests.dag_runs import DagRuns

    initdb()
    DagBundlesManager().sync_bundles_to_db()
    return DagRuns(Path(os.environ["AIRFLOW_HOME"]))
