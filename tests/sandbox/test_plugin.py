from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.sandbox.clients import client_of, created, screened


def test_the_fixture_runs_a_sandbox_and_is_the_default_connection(pihupulse_sandbox: Sandbox) -> None:
    connection = json.loads(os.environ["AIRFLOW_CONN_PIHUPULSE_DEFAULT"])
    assert connection == {
        "conn_type": "pihupulse",
        "host": pihupulse_sandbox.base_url,
        "password": pihupulse_sandbox.api_key,
        "extra": {"webhook_secret": pihupulse_sandbox.webhook_secret},
    }


KEYS: set[str] = set()


@pytest.mark.parametrize("use", ["first", "second"])
def test_every_use_of_the_fixture_is_an_account_of_its_own(pihupulse_sandbox: Sandbox, use: str) -> None:
    """A port comes again; the store must not take a new PihuPulse for that of an earlier test."""
    assert pihupulse_sandbox.api_key not in KEYS
    KEYS.add(pihupulse_sandbox.api_key)


def test_screenings_of_the_fixture_complete_at_once(pihupulse_sandbox: Sandbox) -> None:
    with client_of(pihupulse_sandbox) as client:
        screening_id = screened(client, created(client))
        deadline = time.monotonic() + 5
        while client.get(f"/screenings/{screening_id}/report").status_code != 200:
            assert time.monotonic() < deadline


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    """Pytest loads it in every run of every user of the package."""
    code = (
        "import sys, pytest; before = set(sys.modules); import pihupulse_provider.sandbox.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    package = "pihupulse_provider"
    assert output.split() == [package, f"{package}.sandbox", f"{package}.sandbox.pytest_plugin"]
