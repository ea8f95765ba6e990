"""A local PihuPulse in a process of its own, and what it counted."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.servers import free_port

API_KEY = "pp_sandbox"


class Service:
    """A running service."""

    def __init__(self, port):
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._control = httpx.Client(base_url=f"http://127.0.0.1:{port}/_sandbox", timeout=60)

    def add_fault(self, **fault):
        self._control.post("/faults", json=fault).raise_for_status()

    def clear_faults(self):
        self._control.delete("/faults").raise_for_status()

    def refused(self):
        return self._control.get("/counters").json()["refused"]

    def emails(self):
        found = Counter()
        page, last = 1, 1
        while page <= last:
            answer = self._page(page)
            found.update(one["email"] for one in answer["data"])
            page, last = page + 1, answer["meta"]["total_pages"]
        return found

    def _page(self, page):
        params = {"page": page, "limit": 100, "status": "all"}
        headers = {"Authorization": f"Bearer {API_KEY}"}
        while (answer := httpx.get(f"{self.base_url}/candidates", params=params, headers=headers)).status_code == 429:
            time.sleep(0.2)
        return answer.json()


@contextmanager
def running(*options: str) -> Iterator[Service]:
    """Run a service with these options of its command line."""
    port = free_port()
    command = [sys.executable, "-m", "pihupulse_provider.sandbox", "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        service = Service(port)
        httpx.Client(transport=httpx.HTTPTransport(retries=10)).get(f"http://127.0.0.1:{port}/_sandbox", timeout=60)
        yield service
    finally:
        process.terminate()
        process.wait(timeout=20)
