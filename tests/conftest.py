"""Fixtures for all tests."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.servers import empty_database, postgres

if TYPE_CHECKING:
    from tests.dag_runs import DagRuns

_numbers = count(1)
_WAITING = {"integration", "reliability"}
"""Rooms whose tests mostly wait for servers and processes that they started."""


def pytest_configure(config: pytest.Config) -> None:
    """Make each run like the one before, and give Airflow a home of its own before it reads its settings."""
    settings.register_profile("project", deadline=None, derandomize=True)
    settings.load_profile("project")
    home = TemporaryDirectory(prefix="pihupulse-airflow-")
    config.add_cleanup(home.cleanup)
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    # This machine may forbid compiled files, which doubles the start of every process that imports Airflow.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.update(
        AIRFLOW_HOME=home.name,
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        # No worker has to report a deferral here, so no trigger has to wait for that.
        AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="0",
    )
    (Path(home.name) / "dags").mkdir()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where two processes share the tests, one takes all that wait for servers, and the other the rest."""
    for item in items:
        room = item.path.relative_to(config.rootpath / "tests").parts[0]
        item.add_marker(pytest.mark.xdist_group("waiting" if room in _WAITING else "working"))


@pytest.fixture(autouse=True)
def heard_loggers() -> None:
    """Airflow's own logging set-up, which some tests run, switches off the loggers that are there already."""
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("pihupulse_provider")]:
        logging.getLogger(name).disabled = False
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.disable(logging.NOTSET)


@pytest.fixture
def consumer(pihupulse_sandbox: object) -> str:
    """A consumer of the inbox that has read all that other tests left."""
    from pihupulse_provider.hooks import settings
    from pihupulse_provider.store.inbox import Inbox
    from tests.webhooks.inboxes import cursor_of

    name = f"consumer-{next(_numbers)}"
    cursor_of(name).seek(Inbox(settings.store()).head())
    return name


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server for the whole run: its SQLAlchemy URL."""
    with postgres() as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_url: str) -> Iterator[str]:
    """An empty database of that server, for one test."""
    with empty_database(postgres_url) as url:
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
