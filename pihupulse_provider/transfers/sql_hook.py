"""The hook of a connection that speaks SQL."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, BaseHook

from pihupulse_provider.api.errors import ConfigurationError


def sql_hook(conn_id: str, method: str, **options: Any) -> Any:
    """Return the hook of an Airflow connection.

    :param method: what the hook must have. :param options: further arguments for the connection's ``get_hook``.
    :raises ConfigurationError: if its provider is missing, or it does not speak SQL.
    """
    connection: Any = BaseHook.get_connection(conn_id)
    try:
        hook = connection.get_hook(**options)
    except (AirflowException, AttributeError) as error:  # the latter for "generic", which Airflow makes of others
        raise ConfigurationError(
            f"The connection {conn_id!r} is of type {connection.conn_type!r}, for which no Airflow provider is "
            "installed here: install the database's, such as apache-airflow-providers-postgres, restart Airflow, and "
            "check the connection's type."
        ) from error
    if not hasattr(hook, method):
        raise ConfigurationError(f"The connection {conn_id!r} is of type {hook.conn_type!r}, which does not speak SQL.")
    return hook
