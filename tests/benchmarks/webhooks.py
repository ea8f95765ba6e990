"""Deliveries a second, beside a bare receiver and another provider: ``python -m tests.benchmarks.webhooks``.

The receivers take turns, so that what else the machine does meets them all, and each line has the medians of its
rounds. ``--inbound-webhooks`` is the address of a running API server that has airflow-provider-inbound-webhooks
installed, with a webhook that checks ``hmac_json`` signatures by the secret below, and a DAG scheduled on its event;
without one it forgets what it is sent. It is left out when no address is given.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.benchmarks.results import record
from tests.servers import free_port, postgres

SECRET = "a-secret-for-the-benchmark"
PATH = "/pihupulse/webhooks/pihupulse_default"
_STARTS_WITHIN = 60


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--inbound-webhooks", metavar="URL")
    options = parser.parse_args()
    print(f"{'receiver':34}{'store':12}{'senders':>8}{'a second':>10}{'ratio':>7}{'p50 ms':>9}{'p99 ms':>9}")
    with tempfile.TemporaryDirectory() as home, postgres() as postgres_url:
        for store, url in (("SQLite", f"sqlite:///{home}/store.db"), ("PostgreSQL", postgres_url)):
            receivers = {
                "bare, group commit": bare(url, grouped=True),
                "bare": bare(url, grouped=False),
                "this provider": ours(url, home),
            }
            if options.inbound_webhooks:
                receivers["airflow-provider-inbound-webhooks"] = nullcontext(options.inbound_webhooks)
            with ExitStack() as running:
                urls = {name: running.enter_context(server) for name, server in receivers.items()}
                for senders in (1, 8):
                    compare(store, urls, senders, options.rounds, options.seconds)


def compare(store: str, urls: dict[str, str], senders: int, rounds: int, seconds: float) -> None:
    """Let the receivers take turns, and print a line for each; ratios are to the first."""
    said: dict[str, list[dict[str, Any]]] = {name: [] for name in urls}
    for number in range(rounds + 1):
        for name, url in urls.items():
            answers = send(url, senders, seconds)
            if number > 0:  # the first round warms them up
                said[name].append(answers)
    least = _median(next(iter(said.values())), "rate")
    for name, answered in said.items():
        rate, p50, p99 = (_median(answered, figure) for figure in ("rate", "p50", "p99"))
        statuses = dict(sum((Counter(answers["statuses"]) for answers in answered), Counter[str]()))
        figures = f"{rate:10.0f}{rate / least:7.2f}{p50:9.2f}{p99:9.2f}"
        case = f"{store}, {senders} sender{'s' if senders > 1 else ''}"
        record(case, name, times_the_first=rate / least, deliveries_a_second=rate, p50_ms=p50, p99_ms=p99)
        print(f"{name:34}{store:12}{senders:8}{figures}  {statuses}", flush=True)


def send(url: str, senders: int, seconds: float) -> dict[str, Any]:
    """Send, and return how many were answered a second, after how long and with which statuses."""
    command = [sys.executable, "-m", "tests.benchmarks.sender", url, SECRET, str(senders), str(seconds)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    answers: dict[str, Any] = json.loads(ended.stdout)
    return answers


def _median(answered: list[dict[str, Any]], figure: str) -> float:
    return statistics.median(answers[figure] for answers in answered)


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
