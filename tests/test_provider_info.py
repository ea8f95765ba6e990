"""What a real Airflow makes of the installed provider."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

READ_STORE_URL = """
import os
import sys
from airflow.providers_manager import ProvidersManager
ProvidersManager().initialize_providers_configuration()  # as every airflow command does
from pihupulse_provider.hooks.settings import store_url
read = []
for setting in sys.argv[1:]:
    name, _, os.environ[name] = ("AIRFLOW__PIHUPULSE__" + setting).partition("=")
    read.append(store_url())
    del os.environ[name]
print(read)
"""
LIST_PROVIDERS = """
import sys
from airflow.__main__ import main
for command in sys.argv[1:]:
    sys.argv = ["airflow", "providers", command, "--output", "json"]
    main()
"""
PACKAGE = "airflow-provider-pihupulse"


@pytest.fixture(scope="module")
def tables() -> dict[str, list[dict[str, Any]]]:
    """What ``airflow providers`` lists, by command; it must not complain about this provider."""
    commands = ("list", "hooks")
    done = subprocess.run(
        [sys.executable, "-c", LIST_PROVIDERS, *commands], capture_output=True, text=True, timeout=60, check=True
    )
    listed = re.findall(r"^\[\{.*?\}\]$", done.stdout, re.MULTILINE | re.DOTALL)
    said = (done.stderr + re.sub(r"^\[\{.*?\}\]$", "", done.stdout, flags=re.MULTILINE | re.DOTALL)).splitlines()
    assert [line for line in said if "pihupulse" in line.lower()] == []
    return dict(zip(commands, map(json.loads, listed), strict=True))


def test_it_is_listed(tables):
    assert PACKAGE in {row["package_name"] for row in tables["list"]}


def test_its_hook_is_found_and_its_connections_can_be_tested(tables):
    [hook] = [row for row in tables["hooks"] if row["connection_type"] == "pihupulse"]
    assert hook["class"] == "pihupulse_provider.hooks.pihupulse.PihuPulseHook"
    assert hook["conn_id_attribute_name"] == "pihupulse_conn_id"
    assert hook["hook_name"] == "PihuPulse"


def test_the_stores_url_is_a_setting_that_can_be_kept_secret():
    given = {"STORE_URL": "sqlite:////plain/store.db", "STORE_URL_CMD": "echo sqlite:////secret/store.db"}
    command = [sys.executable, "-c", READ_STORE_URL, *(f"{name}={value}" for name, value in given.items())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "['sqlite:////plain/store.db', 'sqlite:////secret/store.db']"
