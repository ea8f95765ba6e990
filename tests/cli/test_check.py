"""The command that looks at everything that has to fit together."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import time

import pytest
from airflow.models import Connection
from airflow.utils.session import create_session

from pihupulse_provider.sandbox import Sandbox
from tests.webhooks.inboxes import receive
from tests.webhooks.running import CONNECTION, SECRET


def test_a_check_of_a_configuration_that_works(run, service):
    receive("s1")
    with Sandbox(plan="professional") as sandbox:
        service(sandbox)
        printed = run("check").splitlines()
    assert re.match(r"ok  store sqlite:///.*store.db: 1 event received so far$", printed[0])
    assert printed[1:] == [
        "ok  connection pihupulse_default: PihuPulse allows 300 requests a minute",
        "ok  connection pihupulse_default: 2 webhook secrets",
    ]


def test_what_libraries_log_is_no_part_of_a_result(run, service, monkeypatch: pytest.MonkeyPatch):
    """Airflow's loggers write to stdout; of a new store, and of each request, something is logged."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("logged %(message)s"))
    monkeypatch.setattr(logging.root, "handlers", [handler])
    monkeypatch.setattr(logging.root, "level", logging.INFO)
    with Sandbox() as sandbox:
        service(sandbox)
        assert "logged" not in run("check") + run("consumers")


def test_a_check_warns_of_what_works_badly(run, service, monkeypatch: pytest.MonkeyPatch):
    """A file as the store of Celery's workers, a plan that is too small, a clock that is wrong, and no webhook yet."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    with Sandbox(plan="enterprise", clock=lambda: time.time() + 600) as sandbox:
        service(sandbox, plan="starter")
        run("check")  # the first response tells the plan
        printed = [line for line in run("check").splitlines() if line.startswith("warning  ")]
    for words in (
        "[core] executor names CeleryExecutor",
        "slows down all of them",
        "seconds behind PihuPulse's",
        "connection pihupulse_default: None of its webhooks is in this store",
    ):
        assert any(words in line for line in printed), printed


def test_a_check_names_everything_that_does_not(run, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS", f"{CONNECTION}, missing")
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL", "postgresql://airflow:hunter2@127.0.0.1:1/pihupulse")
    with pytest.raises(SystemExit, match="1"):
        run("check", "--connection", "missing")
    printed = capsys.readouterr().out
    assert "not ok  connection missing: There is no connection missing: add it" in printed
    assert "not ok  The store postgresql" in printed
    assert "hunter2" not in printed


def test_a_check_needs_no_setting_to_begin(run, service, monkeypatch: pytest.MonkeyPatch):
    """Without ``webhook_connections`` there is still the connection that operators use by default."""
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS", "")
    with Sandbox(plan="professional") as sandbox:
        service(sandbox)
        printed = run("check").splitlines()
    assert printed[0] == "ok  [pihupulse] webhook_connections is empty: no webhooks are received"
    assert printed[1].startswith("ok  store sqlite:")
    assert printed[2:] == ["ok  connection pihupulse_default: PihuPulse allows 300 requests a minute"]


def test_a_check_without_settings_fails_as_the_default_connection_does(run, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS", "")
    monkeypatch.delenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT")
    with pytest.raises(SystemExit, match="1"):
        run("check")
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("not ok  ")]
    assert len(failed) == 1
    assert failed[0].startswith("not ok  connection pihupulse_default: There is no connection pihupulse_default: add")


def test_a_check_says_of_each_connection_once_what_is_wrong_with_it(run, capsys, monkeypatch: pytest.MonkeyPatch):
    def connect(name: str, **fields: object) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({"conn_type": "pihupulse", **fields}))

    with Sandbox() as sandbox:
        document = json.loads(sandbox.connection_json)
        secret = {"webhook_secret": SECRET}
        connect("wrong_host", **{**document, "host": f"{document['host']}/nowhere", "extra": secret})
        connect("wrong_key", **{**document, "password": "another", "extra": secret})
        connect("wrong_extra", **{**document, "extra": {"webhook_secrets": SECRET}})
        named = ["wrong_host", "wrong_key", "wrong_extra", "missing"]
        monkeypatch.setenv("AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS", ",".join(named))
        with pytest.raises(SystemExit, match="1"):
            run("check")
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("not ok  ")]
    assert [line.split("connection ")[1].split(":")[0] for line in failed] == named, failed
    assert "404" in failed[0]
    assert "401" in failed[1]


def test_a_check_goes_on_when_a_secrets_backend_fails(run, capsys, monkeypatch: pytest.MonkeyPatch):
    class Failing:
        def get_connection(self, conn_id: str) -> None:
            raise OSError(f"no way to {conn_id} with the token hunter2")

    monkeypatch.setattr("airflow.configuration.ensure_secrets_loaded", lambda: [Failing()])
    with pytest.raises(SystemExit, match="1"):
        run("check")
    printed = capsys.readouterr().out
    assert "not ok  connection pihupulse_default: Connection pihupulse_default can't be read, because of OSE" in printed
    assert "hunter2" not in printed


def test_a_check_reports_a_setting_that_is_no_number(run, service, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__INBOX_RETENTION_DAYS", "abc")
    with Sandbox() as sandbox:
        service(sandbox)
        with pytest.raises(SystemExit, match="1"):
            run("check")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "not ok  [pihupulse] inbox_retention_days is 'abc': it must be a number, such as 30."
    assert any(line.startswith("ok  store") for line in printed)


@pytest.mark.usefixtures("dag_runs")
def test_a_connection_that_is_only_in_airflows_database_is_found(monkeypatch: pytest.MonkeyPatch):
    """One that was made in the UI or with ``airflow connections add``."""
    extra = json.dumps({"webhook_secret": SECRET})
    with create_session() as session:
        session.add(Connection("stored", "pihupulse", host="http://127.0.0.1:1", password="a-key", extra=extra))
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS", "stored")
    command = [sys.executable, "-m", "pihupulse_provider.webhooks", "check"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ok  connection stored:" in ended.stdout, ended.stdout + ended.stderr
