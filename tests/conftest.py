"""Fixtures for all tests."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from packaging.version import Version

from tests.servers import empty_database, postgres

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tests.dag_runs import DagRuns

_RELIABILITY = "tests/reliability/test_overlapping.py", "tests/reliability/test_import_killed.py"
_SLOWEST = ("integration", "dags", "waits", *_RELIABILITY)
"""Groups of tests that stay together, and begin first, where several processes share the tests."""
_SHARING_AN_AIRFLOW = {
    "dags": {
        *("cli", "docs", "operators", "plugins", "transfers"),
        *("test_examples.py", "test_retry_policy.py", "test_receiver_and_airflow.py"),
    },
    "waits": {"sensors", "triggers", "test_wait_histories.py"},
}
"""Rooms and files that share an Airflow in this process, which takes twenty seconds to make."""


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
        AIRFLOW__API_AUTH__JWT_SECRET="a-secret-of-the-tests-" * 4,
        # Airflow 3.0 makes none, and complains.
        AIRFLOW__CORE__FERNET_KEY="dGhlLWtleS1vZi10aGUtdGVzdHMtMzItYnl0ZXMtLS0=",
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        # No worker has to report a deferral here, so no trigger has to wait for that.
        AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="0",
    )
    (Path(home.name) / "dags").mkdir()
    if Version(version("anyio")) < Version("4.16"):
        # One that is given up just as it is made: 4.16 closes it, Python else closes it with the garbage.
        config.addinivalue_line("filterwarnings", r"ignore:unclosed (transport|<socket\.socket):ResourceWarning")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the groups that take longest."""
    items.sort(key=lambda item: _SLOWEST.index(group) if (group := _group(item.nodeid)) in _SLOWEST else len(_SLOWEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Where several processes share the tests, they take them group by group."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    return ByGroup(config, log) if config.option.dist == "loadscope" else None


def _group(nodeid: str) -> str:
    """Return the group that shares an Airflow, or the file."""
    file = nodeid.partition("::")[0]
    room, name = Path(file).parts[1], Path(file).name
    if room == "integration":
        return room
    return next((group for group, parts in _SHARING_AN_AIRFLOW.items() if {room, name} & parts), file)


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
    """A consumer of the inbox of one test."""
    return "land"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server for the whole run: its SQLAlchemy URL."""
    with postgres(durable=False) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_url: str) -> Iterator[str]:
    """An empty database of that server, for one test."""
    with empty_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def airflow_database() -> Path:
    """Airflow's SQLite database of this process, with all its tables, which lives as long as the tests."""
    from airflow.utils.db import initdb

    initdb()
    return Path(os.environ["AIRFLOW_HOME"]) / "airflow.db"


@pytest.fixture(scope="session")
def airflow_app(airflow_database: Path) -> FastAPI:
    """Airflow's API and UI in this process, with users and roles."""
    from airflow.api_fastapi.app import create_app
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow 3.0 declares its models as Pydantic deprecates
        return create_app(apps="core")


@pytest.fixture(scope="session")
def dag_runs(airflow_app: FastAPI) -> DagRuns:
    """Runs DAGs in this process."""
    from tests.dag_runs import DagRuns

    return DagRuns(airflow_app)
