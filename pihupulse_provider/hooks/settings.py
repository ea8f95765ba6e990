"""The ``[pihupulse]`` section of Airflow's configuration."""

from __future__ import annotations

import logging
import os
import re
from configparser import Error as ConfigFileError
from pathlib import Path
from weakref import WeakSet

from airflow.providers.common.compat.sdk import conf

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.store.engine import Store, open_store

SECTION = "pihupulse"
log = logging.getLogger(__name__)
_LOCAL_EXECUTORS = ("LocalExecutor", "SequentialExecutor", "DebugExecutor")
"""They run all tasks on the scheduler's machine."""
_warned_of: WeakSet[Store] = WeakSet()


def option(name: str) -> str:
    """Return an option of the section as text, without spaces around it; empty if it is not set.

    :raises ConfigurationError: if it can't be read. The message has nothing of its value, which can be a password.
    """
    try:
        # The output of a command (such as store_url_cmd) ends with a line break.
        return str(conf.get(SECTION, name, fallback="")).strip()
    except ConfigFileError:
        raise ConfigurationError(
            f"[{SECTION}] {name} can't be read: in airflow.cfg, each % of a value has to be written as %%."
        ) from None
    except Exception as error:
        # A command or a secrets backend that fails may put anything into the message.
        raise ConfigurationError(
            f"[{SECTION}] {name} can't be read, because of {type(error).__name__}: airflow config get-value {SECTION} "
            f"{name} shows more. It is looked for in airflow.cfg, the environment, {name}_cmd and {name}_secret."
        ) from None


def store_url() -> str:
    """Return ``[pihupulse] store_url``; by default a SQLite file under ``AIRFLOW_HOME``."""
    url = option("store_url")
    if url:
        return url
    home = Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME") or "~/airflow")).expanduser()  # as Airflow does
    return f"sqlite:///{home / 'pihupulse.db'}"


def store() -> Store:
    """Return this process's one store, and warn once of what is wrong with where it is.

    :raises ConfigurationError: if ``store_url`` can't be read, its driver is missing, or nothing it holds would stay.
    """
    opened = open_store(store_url())
    if opened.is_in_memory:
        raise ConfigurationError(
            f"[{SECTION}] store_url is {opened}, a database in memory, which each process has for itself: webhooks "
            "that were received would be lost. Name a file, such as sqlite:////var/lib/pihupulse.db, or PostgreSQL."
        )
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
