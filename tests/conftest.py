"""Fixtures for all tests."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.servers import postgres

if TYPE_CHECKING:
    from tests.dag_runs import DagRuns


def pytest_configure(config: pytest.Config) -> None:
    """Make each run like the one before, and give Airflow a home of its own before it reads its settings."""
    settings.register_profile("project", deadline=None, derandomize=True)
    settings.load_profile("project")
    home = TemporaryDirectory(prefix="pihupulse-airflow-")
    config.add_cleanup(home.cleanup)
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    os.environ.update(
        AIRFLOW_HOME=home.name,
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        # No worker has to report a deferral here, so no trigger has to wait for that.
        AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="0",
    )
    (Path(home.name) / "dags").mkdir()


@pytest.fixture(autouse=True)
def heard_loggers() -> None:
    """Airflow's own logging set-up, which some tests run, switches off the loggers that are there already."""
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("pihupulse_provider")]:
        logging.getLogger(name).disabled = False
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.disable(logging.NOTSET)


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
