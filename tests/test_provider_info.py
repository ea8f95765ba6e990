"""What a real Airflow makes of the installed provider."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

READ_STORE_URL = """
from airflow.providers_manager import ProvidersManager
ProvidersManager().initialize_providers_configuration()  # as every airflow command does
from pihupulse_provider.hooks.settings import store_url
print([store_url()])
"""
PACKAGE = "airflow-provider-pihupulse"


def airflow(*words: str) -> list[dict[str, Any]]:
    """Run ``airflow`` and return its table; it must not complain about this provider."""
    command = [sys.executable, "-m", "airflow", *words, "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    table = done.stdout[done.stdout.index("[{") :]
    said = (done.stderr + done.stdout[: -len(table)]).splitlines()
    assert [line for line in said if "pihupulse" in line.lower()] == []
    return json.loads(table)


def test_it_is_listed():
    assert PACKAGE in {row["package_name"] for row in airflow("providers", "list")}


def test_its_hook_is_found_and_its_connections_can_be_tested():
    [hook] = [row for row in airflow("providers", "hooks") if row["connection_type"] == "pihupulse"]
    assert hook["class"] == "pihupulse_provider.hooks.pihupulse.PihuPulseHook"
    assert hook["conn_id_attribute_name"] == "pihupulse_conn_id"
    assert hook["hook_name"] == "PihuPulse"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AIRFLOW__PIHUPULSE__STORE_URL", "sqlite:////somewhere/else.db"),
        ("AIRFLOW__PIHUPULSE__STORE_URL_CMD", "echo sqlite:////somewhere/else.db"),
    ],
)
def test_the_stores_url_is_a_setting_that_can_be_kept_secret(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    done = subprocess.run(
        [sys.executable, "-c", READ_STORE_URL], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "['sqlite:////somewhere/else.db']"
