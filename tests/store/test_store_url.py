"""The store's URL names SQLite or PostgreSQL, and keeps its secrets to itself."""

from __future__ import annotations

import pytest

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.store.engine import Store, StoreError
from tests.servers import free_port


@pytest.mark.parametrize("url", ["", "hunter2", "postgresql://user:hunter2@host:port/database"])
def test_what_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="store_url is not a database URL") as caught:
        Store(url)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "driver",
    [
        "mysql",
        "mysql+pymysql",
        "oracle9",
        "mssql+pyodbc",
        "sqlite+aiosqlite",
        "sqlite+pysqlcipher",
        "postgresql+asyncpg",
    ],
)
def test_other_databases_and_drivers_are_refused_by_name(driver: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Store(f"{driver}://user:hunter2@host/database?password=hunter2")

    assert f"store_url names {driver}, and the store is SQLite, or PostgreSQL" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_scheme_without_a_driver_takes_the_installed_one(scheme: str) -> None:
    assert repr(Store(f"{scheme}://host/database")).startswith("Store('postgresql+psycopg")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://airflow:hunter2@127.0.0.1:{port}/pihupulse",
        "postgresql://airflow@127.0.0.1:{port}/pihupulse?password=hunter2",
        "postgresql://127.0.0.1:{port}/pihupulse?user=airflow&password=hunter2&sslpassword=hunter2",
        "postgresql://airflow@127.0.0.1:{port}/pihupulse?options=-c%20app.token%3Dhunter2",
        "postgresql://airflow@127.0.0.1:{port}/pihupulse?password=hunter2&sslmode=hunter2",
    ],
)
def test_secrets_are_in_no_error_and_no_repr(url: str) -> None:
    store = Store(url.format(port=free_port()))

    with pytest.raises(StoreError, match=r"127\.0\.0\.1:\d+/pihupulse failed: ") as caught, store.read():
        pass

    assert "hunter2" not in f"{caught.value} {store!r} {store}"
    if "options" not in url:
        assert "hunter2" not in repr(store._engine).replace("sslmode=hunter2", "")
