"""The receiver in Airflow's API server: mounted where it is configured, and never in the way of its start."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import httpx
import pytest
from fastapi import FastAPI

from pihupulse_provider.plugins.pihupulse import PihuPulsePlugin
from tests.webhooks.deliveries import completed, signed
from tests.webhooks.running import CONNECTION, SECRET


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    connection = {"conn_type": "pihupulse", "password": "key", "extra": {"webhook_secret": [SECRET]}}
    monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS", CONNECTION)
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")


def mounted() -> httpx.AsyncClient:
    """Mount the plugin's applications as the API server does, below a base path of its own."""
    inner, outer = FastAPI(), FastAPI()
    for app in PihuPulsePlugin().fastapi_apps:
        inner.mount(app["url_prefix"], app["app"])
    outer.mount("/airflow", inner)
    return httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url="http://airflow.test/airflow")


def test_the_entry_point_names_the_plugin():
    (point,) = [
        point for point in importlib.metadata.entry_points(group="airflow.plugins") if point.name == "pihupulse"
    ]
    assert point.load() is PihuPulsePlugin


@pytest.mark.usefixtures("configured")
async def test_deliveries_are_taken_below_the_base_path_of_airflow():
    async with mounted() as client:
        path = f"/pihupulse/webhooks/{CONNECTION}"
        answer = await client.post(path, content=completed("s1"), headers=signed(completed("s1")))
        assert (answer.status_code, answer.content) == (202, b"")
        assert (await client.get("/pihupulse/health")).json() == {"status": "ok"}
        head = await client.head("/pihupulse/health")
        assert (head.status_code, head.content) == (200, b"")
        assert (await client.post("/pihupulse/webhooks/other")).status_code == 404


def test_no_receiver_is_mounted_unless_a_connection_is_named():
    assert "PihuPulse webhooks" not in [app["name"] for app in PihuPulsePlugin().fastapi_apps]


@pytest.mark.usefixtures("configured")
async def test_a_configuration_that_cannot_work_stops_neither_the_server_nor_later_tries(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async with mounted() as client:
        monkeypatch.setenv("AIRFLOW__PIHUPULSE__INBOX_RETENTION_DAYS", "0")
        assert (await client.get("/pihupulse/health")).status_code == 503
        assert (await client.head("/pihupulse/health")).content == b""
        assert "inbox_retention_days is 0" in caplog.text
        monkeypatch.delenv("AIRFLOW__PIHUPULSE__INBOX_RETENTION_DAYS")
        assert (await client.get("/pihupulse/health")).status_code == 200


@pytest.mark.usefixtures("configured")
async def test_a_connection_without_a_secret_makes_the_sender_come_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", json.dumps({"conn_type": "pihupulse", "password": "key"}))
    async with mounted() as client:
        path = f"/pihupulse/webhooks/{CONNECTION}"
        answer = await client.post(path, content=completed("s1"), headers=signed(completed("s1")))
    assert answer.status_code == 503
    assert "has no webhook_secret" in caplog.text


def test_loading_the_plugin_loads_neither_the_receiver_nor_a_web_framework():
    code = (
        "import sys; import airflow.plugins_manager; before = set(sys.modules); "
        "import pihupulse_provider.plugins.pihupulse; "
        "print([name for name in set(sys.modules) - before if name.split('.')[0] in "
        "('fastapi', 'starlette', 'uvicorn') or name.endswith(('receiver', 'handler'))])"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == "[]"
