"""Deliveries a second, beside a bare receiver and beside airflow-provider-inbound-webhooks.

``python -m tests.benchmarks.webhooks [--seconds 5] [--inbound-webhooks URL]``

The last is the address of a running API server that has that provider installed, with a webhook that checks
``hmac_json`` signatures by the secret below; it is left out when no address is given.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.servers import free_port, postgres

SECRET = "a-secret-for-the-benchmark"
PATH = "/pihupulse/webhooks/pihupulse_default"
_STARTS_WITHIN = 60


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--inbound-webhooks", metavar="URL")
    options = parser.parse_args()
    print(f"{'receiver':34}{'store':12}{'senders':>8}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}")
    if options.inbound_webhooks:
        for senders in (1, 8):
            measure(
                "airflow-provider-inbound-webhooks", "as set up", options.inbound_webhooks, senders, options.seconds
            )
    else:
        print("airflow-provider-inbound-webhooks: not measured, give its --inbound-webhooks URL")
    with tempfile.TemporaryDirectory() as home, postgres() as postgres_url:
        for store, url in (("SQLite", f"sqlite:///{home}/store.db"), ("PostgreSQL", postgres_url)):
            for senders in (1, 8):
                for name, server in (
                    ("bare", bare(url, grouped=False)),
                    ("bare, group commit", bare(url, grouped=True)),
                    ("this provider", ours(url, home)),
                ):
                    with server as address:
                        measure(name, store, address, senders, options.seconds)


def measure(name: str, store: str, url: str, senders: int, seconds: float) -> None:
    """Print one line."""
    command = [sys.executable, "-m", "tests.benchmarks.sender", url, SECRET, str(senders)]
    subprocess.run([*command, "1"], check=True, capture_output=True)
    ended = subprocess.run([*command, str(seconds)], check=True, capture_output=True, text=True)
    said = json.loads(ended.stdout)
    figures = f"{said['rate']:10.0f}{said['p50']:9.2f}{said['p99']:9.2f}"
    print(f"{name:34}{store:12}{senders:8}{figures}  {said['statuses']}", flush=True)


@contextmanager
def bare(url: str, *, grouped: bool) -> Iterator[str]:
    """Run the bare receiver."""
    port = free_port()
    command = ["-m", "uvicorn", "--factory", "tests.benchmarks.bare_receiver:application", "--port", str(port)]
    environment = {"SECRET": SECRET, "STORE_URL": url, "GROUP": "1" if grouped else "0"}
    with _running(
        [*command, "--no-access-log", "--log-level", "warning"], environment, f"http://127.0.0.1:{port}/docs"
    ):
        yield f"http://127.0.0.1:{port}{PATH}"


@contextmanager
def ours(url: str, home: str) -> Iterator[str]:
    """Run this provider's receiver, alone."""
    port = free_port()
    connection = {"conn_type": "pihupulse", "password": "key", "extra": {"webhook_secret": [SECRET]}}
    environment = {
        "AIRFLOW_HOME": home,
        "AIRFLOW__PIHUPULSE__STORE_URL": url,
        "AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS": "pihupulse_default",
        "AIRFLOW_CONN_PIHUPULSE_DEFAULT": json.dumps(connection),
    }
    command = ["-m", "pihupulse_provider.webhooks", "--port", str(port)]
    with _running(command, environment, f"http://127.0.0.1:{port}/pihupulse/health"):
        yield f"http://127.0.0.1:{port}{PATH}"


@contextmanager
def _running(arguments: list[str], environment: dict[str, str], health: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    try:
        _await(health, process)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urlopen(url, timeout=1).close()
        except URLError as error:
            if getattr(error, "code", None) is not None:
                return
            time.sleep(0.2)
        except OSError:
            return
        else:
            return
    raise SystemExit(f"{url} did not answer.")


if __name__ == "__main__":
    main()
