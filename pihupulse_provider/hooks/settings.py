"""The ``[pihupulse]`` section of Airflow's configuration."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from weakref import WeakSet

from airflow.providers.common.compat.sdk import conf

from pihupulse_provider.store.engine import Store, open_store

SECTION = "pihupulse"
log = logging.getLogger(__name__)
_LOCAL_EXECUTORS = ("LocalExecutor", "SequentialExecutor", "DebugExecutor")
"""They run all tasks on the scheduler's machine."""
_warned_of: WeakSet[Store] = WeakSet()


def store_url() -> str:
    """Return ``[pihupulse] store_url``; by default a SQLite file under ``AIRFLOW_HOME``."""
    # The output of a command (store_url_cmd) ends with a line break.
    url = str(conf.get(SECTION, "store_url", fallback="")).strip()
    if url:
        return url
    home = Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser()
    return f"sqlite:///{home / 'pihupulse.db'}"


def store() -> Store:
    """Return this process's one store, and warn once of what is wrong with where it is.

    :raises ConfigurationError: if ``store_url`` can't be read or its driver is missing.
    """
    opened = open_store(store_url())
    if opened not in _warned_of:
        _warned_of.add(opened)
        for problem in store_problems(opened):
            log.warning("%s", problem)
    return opened


def store_problems(opened: Store) -> list[str]:
    """Return in a sentence each what makes a store the wrong one for this Airflow, although it works here."""
    problems = opened.problems()
    remote = [name for name in _executors() if name not in _LOCAL_EXECUTORS]
    if opened.is_sqlite and remote:
        problems.append(
            f"The store {opened} is a file of this machine, and [core] executor names {', '.join(remote)}: workers on "
            "other machines would share neither the rate limit nor webhooks with it. Set [pihupulse] store_url to one "
            "PostgreSQL for all of them."
        )
    return problems


def _executors() -> list[str]:
    """Return the classes of executors that ``[core] executor`` names, with or without a module, an alias or a team."""
    return re.findall(r"\w*Executor\b", conf.get("core", "executor", fallback=""))
