"""The receiver by itself where connections are in Airflow's database."""

from __future__ import annotations

import time
from pathlib import Path

from tests.reliability.receivers import ReceiverProcess, connection_json
from tests.webhooks.deliveries import completed, deliver
from tests.webhooks.running import CONNECTION, SECRET


def test_a_connection_that_was_made_in_airflow_is_found(tmp_path: Path, airflow_database: Path):
    process = ReceiverProcess(tmp_path, f"sqlite:///{tmp_path / 'store.db'}")
    process.keep_connections_in_airflow(airflow_database)
    try:
        process.start(healthy=False)
        assert deliver(process.url, completed("s1")).status_code == 503
        assert "There is no connection pihupulse_default" in process.log.read_text()
        process.airflow("connections", "add", CONNECTION, "--conn-json", connection_json(SECRET))
        time.sleep(1.1)
        assert deliver(process.url, completed("s1")).status_code == 202
        assert process.is_healthy()
    finally:
        process.stop()
