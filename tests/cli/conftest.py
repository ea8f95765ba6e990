"""Commands with a configuration that works, until a test changes it."""

from __future__ import annotations

import json

import pytest

from pihupulse_provider.cli.main import main
from pihupulse_provider.sandbox import Sandbox
from tests.webhooks.running import CONNECTION, SECRET


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    connection = {"conn_type": "pihupulse", "password": "key", "extra": {"webhook_secret": [SECRET, "old secret"]}}
    monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS", CONNECTION)
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Run a command, and return what it printed."""

    def run(*arguments: str) -> str:
        capsys.readouterr()
        main(arguments)
        return capsys.readouterr().out

    return run


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch):
    """Have the connection lead to a local PihuPulse; return what sets the connection's extras."""

    def connect(sandbox: Sandbox, **extra: object) -> None:
        document = json.loads(sandbox.connection_json)
        document["extra"] = {"webhook_secret": [SECRET, "old secret"], **extra}
        monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", json.dumps(document))

    return connect
