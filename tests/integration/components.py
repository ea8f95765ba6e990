"""What each process of Airflow's loads before it begins: with :mod:`tests.forking`, one loads it for all of them.

Tasks are forks of the scheduler, so they have it too. This package is not among it: each process loads it, as it does
everywhere.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module

_LOADED = (
    "airflow.api_fastapi.core_api.app",
    "airflow.api_fastapi.execution_api.app",
    "airflow.cli.commands.api_server_command",
    "airflow.cli.commands.dag_processor_command",
    "airflow.cli.commands.scheduler_command",
    "airflow.cli.commands.triggerer_command",
    "airflow.providers.openlineage.plugins.listener",
    "airflow.sdk.execution_time.task_runner",
    "pandas",
    "pyarrow.parquet",
)
"""Not all of it is in every version of Airflow."""


def load() -> None:
    """Load it."""
    import_module("airflow.__main__")
    for name in _LOADED:
        with suppress(ImportError):
            import_module(name)


def main() -> None:
    """Run one of Airflow's commands, or make its database first of all."""
    if sys.argv[1] == "initdb":
        from airflow.utils.db import initdb

        initdb()
    else:
        sys.argv[0] = "airflow"
        import_module("airflow.__main__").main()
