"""Receivers on a real port, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import uvicorn

from pihupulse_provider.store.engine import Store
from pihupulse_provider.webhooks.receiver import PREFIX, Receiver
from tests.servers import free_port

CONNECTION = "pihupulse_default"
SECRET = "a secret of the dashboard"


@contextmanager
def serving(app: object) -> Iterator[str]:
    """Serve an ASGI application on a free port, and yield its address."""
    port = free_port()
    config = uvicorn.Config(app, host="127.0.0.1", port=port, access_log=False, log_config=None, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@contextmanager
def receiving(
    store: Store,
    load: Callable[[], Sequence[str]] = lambda: [SECRET],
    report: Callable[[Mapping[str, int]], None] | None = None,
) -> Iterator[str]:
    """Run a receiver, and yield the address to deliver to."""
    app = Receiver(store, {CONNECTION: load}, retention=30 * 86400, report=report, prefix=PREFIX)
    with serving(app) as address:
        yield f"{address}{PREFIX}/webhooks/{CONNECTION}"
