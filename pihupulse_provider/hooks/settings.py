"""The ``[pihupulse]`` section of Airflow's configuration."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.providers.common.compat.sdk import conf

from pihupulse_provider.store.engine import Store, open_store

SECTION = "pihupulse"


def store_url() -> str:
    """Return ``[pihupulse] store_url``; by default a SQLite file under ``AIRFLOW_HOME``."""
    # The output of a command (store_url_cmd) ends with a line break.
    url = str(conf.get(SECTION, "store_url", fallback="")).strip()
    if url:
        return url
    home = Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser()
    return f"sqlite:///{home / 'pihupulse.db'}"


def store() -> Store:
    """Return this process's one store.

    :raises ConfigurationError: if ``store_url`` can't be read or its driver is missing.
    """
    return open_store(store_url())
