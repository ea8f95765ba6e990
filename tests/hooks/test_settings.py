"""Options of the section ``[pihupulse]`` that can be read, and those that can't."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import conf

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.hooks import settings
from pihupulse_provider.hooks.webhooks import retention, webhook_connections


@pytest.mark.parametrize(("text", "days"), [("14", 14), (" 0.5\n", 0.5), ("", 30), ("1e3", 1000)])
def test_the_retention_is_a_number_of_days_and_30_where_it_is_empty(monkeypatch, text: str, days: float) -> None:
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__INBOX_RETENTION_DAYS", text)
    assert retention() == days * 86400


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("abc", "is 'abc': it must be a number, such as 30"),
        ("30 days", "is '30 days': it must be a number"),
        ("1,5", "is '1,5': it must be a number"),
        ("-1", "is -1: it must be more than 0"),
        ("0", "is 0: it must be more than 0"),
        ("nan", "is nan: it must be more than 0"),
    ],
)
def test_a_retention_that_can_not_work_is_refused_in_a_sentence(monkeypatch, text: str, problem: str) -> None:
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__INBOX_RETENTION_DAYS", text)
    with pytest.raises(ConfigurationError, match=rf"^\[pihupulse\] inbox_retention_days {problem}"):
        retention()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_store_in_memory_which_would_lose_what_was_received_is_refused(monkeypatch, url: str) -> None:
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL", url)
    with pytest.raises(ConfigurationError, match=r"^\[pihupulse\] store_url is sqlite:.*, a database in memory"):
        settings.store()


def test_a_percent_sign_in_airflow_cfg_that_is_not_doubled_is_named_without_the_value() -> None:
    conf.read_string("[pihupulse]\nwebhook_connections = hunter%2\n")
    try:
        with pytest.raises(ConfigurationError, match=r"webhook_connections can't be read: .* as %%") as raised:
            webhook_connections()
        assert "hunter" not in str(raised.value)
    finally:
        conf.remove_section("pihupulse")


def test_a_command_that_fails_to_give_the_store_url_is_named_without_what_it_says(monkeypatch) -> None:
    monkeypatch.delenv("AIRFLOW__PIHUPULSE__STORE_URL", raising=False)
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL_CMD", "ls /hunter2")
    # Airflow 3.0 learns late in a process which options of providers may be commands.
    monkeypatch.setattr(conf, "sensitive_config_values", {(settings.SECTION, "store_url")})
    with pytest.raises(ConfigurationError, match=r"^\[pihupulse\] store_url can't be read, .* store_url_cmd") as raised:
        settings.store_url()
    assert "hunter2" not in str(raised.value)
