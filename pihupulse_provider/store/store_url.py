"""The store's URL: which databases it may name, what of it may be shown, and an engine for it that shows no more."""

from __future__ import annotations

import importlib.util
import logging
import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from pihupulse_provider.api.errors import ConfigurationError

_SQLITE = ("sqlite", "sqlite+pysqlite")
_ANY_POSTGRESQL = ("postgresql", "postgres")
_POSTGRESQL = ("postgresql+psycopg", "postgresql+psycopg2")
_LOGGING_NAME = "pihupulse"
_SECRET = re.compile("pass|secret|token", re.IGNORECASE)
_EXAMPLES = "Use one such as sqlite:////var/lib/pihupulse.db or postgresql://user:password@host/database."


def parse_store_url(url: str) -> URL:
    """Return the URL, with the installed driver where it names none.

    :raises ConfigurationError: if it can't be read, or names anything but SQLite and PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"[pihupulse] store_url is not a database URL. {_EXAMPLES}") from None
    if parsed.drivername in _ANY_POSTGRESQL:
        return parsed.set(drivername=_installed_driver())
    if parsed.drivername not in (*_SQLITE, *_POSTGRESQL):
        raise ConfigurationError(
            f"[pihupulse] store_url names {parsed.drivername}, and the store is SQLite, or PostgreSQL with psycopg. "
            f"{_EXAMPLES}"
        )
    return parsed


def shown_url(url: URL) -> str:
    """Return the URL without its password and its query, in which there can be another."""
    return url.set(query={}).render_as_string(hide_password=True)


def secret_options(url: URL) -> dict[str, str]:
    """Return the options in the URL's query that are secrets, such as ``password``."""
    return {name: str(value) for name, value in url.query.items() if _SECRET.search(name)}


def without_secrets(text: str, url: URL) -> str:
    """Return a text, such as a driver's message, without the URL's password and secret options."""
    for secret in (url.password, *secret_options(url).values()):
        text = text.replace(str(secret), "***") if secret else text
    return text


def quiet_engine(url: URL, **options: Any) -> Engine:
    """Return an engine that shows no values: neither in errors, nor in SQLAlchemy's log, whatever its level.

    :raises ConfigurationError: if the driver is missing.
    """
    for kind in ("engine.Engine", "pool.impl.QueuePool"):
        logging.getLogger(f"sqlalchemy.{kind}.{_LOGGING_NAME}").setLevel(logging.WARNING)
    names = {"logging_name": _LOGGING_NAME, "pool_logging_name": _LOGGING_NAME}
    try:
        return sa.create_engine(url, future=True, hide_parameters=True, **names, **options)
    except (ImportError, SQLAlchemyError) as error:
        raise ConfigurationError(
            f"[pihupulse] store_url needs a database driver that is not installed: {error}. "
            'For PostgreSQL: pip install "airflow-provider-pihupulse[postgres]".'
        ) from error


def _installed_driver() -> str:
    modern = sa.__version__ >= "2" and importlib.util.find_spec("psycopg") is not None
    return "postgresql+psycopg" if modern else "postgresql+psycopg2"
