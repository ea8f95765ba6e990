"""A sandbox in this process: on a port of its own, or behind an httpx client without any."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from pihupulse_provider.sandbox.account import Account
from pihupulse_provider.sandbox.faults import Fault, Kind
from pihupulse_provider.sandbox.records import COMPLETED
from pihupulse_provider.sandbox.request_log import Entry
from pihupulse_provider.sandbox.routes import PREFIX, find_candidate, find_screening
from pihupulse_provider.sandbox.server import listen, run
from pihupulse_provider.sandbox.service import Service
from pihupulse_provider.sandbox.settings import Settings
from pihupulse_provider.sandbox.site import Site
from pihupulse_provider.sandbox.transport import SandboxTransport
from pihupulse_provider.sandbox.webhooks import Delivery


class Sandbox:
    """A local PihuPulse.

    ``with Sandbox(plan="starter") as sandbox:`` serves it at ``sandbox.base_url`` from a thread, on a free port.
    Without ``with`` it serves nothing: ``httpx.Client(transport=sandbox.transport())`` reaches it all the same.
    The options are those of ``Settings``.
    """

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        self.settings = replace(settings or Settings(), **options)
        self.service = Service(self.settings)
        self._site = Site(self.service)
        self.port: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start to serve."""
        listener = listen(self.settings.host, self.settings.port)
        self.port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        serving = run(self._site, listener, self._stop)
        self._thread = threading.Thread(target=_run_loop, args=(self._loop, serving), name="pihupulse-sandbox")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop, and free the port and the data file."""
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self.close()

    def close(self) -> None:
        """Free the data file of a sandbox that was not started."""
        self.service.close()

    @property
    def base_url(self) -> str:
        """The base URL of the API; ``http://localhost/v1`` if nothing is served."""
        host = "localhost" if self.port is None else f"{self.settings.host}:{self.port}"
        return f"http://{host}{PREFIX}"

    @property
    def api_key(self) -> str:
        """The key that is accepted."""
        return self.settings.api_key

    @property
    def webhook_secret(self) -> str:
        """The secret that signs webhooks."""
        return self.service.outbox.webhook.secret

    @property
    def connection_json(self) -> str:
        """An Airflow connection to this sandbox, as an ``AIRFLOW_CONN_*`` variable holds it."""
        connection = {
            "conn_type": "pihupulse",
            "host": self.base_url,
            "password": self.api_key,
            "extra": {"webhook_secret": self.webhook_secret},
        }
        return json.dumps(connection)

    def transport(self) -> SandboxTransport:
        """Return a transport for ``httpx.Client`` and ``httpx.AsyncClient`` that needs no port."""
        return SandboxTransport(self._site)

    @property
    def account(self) -> Account:
        """The account's state."""
        return self.service.account

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """All candidates as ``GET /candidates/:id`` shows them, oldest first."""
        with self.service.lock:
            return [self.account.views.detailed_candidate(row) for row in self.account.lists["all"]]

    @property
    def screenings(self) -> list[dict[str, Any]]:
        """All screenings as ``GET /screenings`` shows them, oldest first."""
        with self.service.lock:
            return [self.account.views.screening(row) for row in self.account.screening_list]

    @property
    def invitations(self) -> list[dict[str, str]]:
        """The invitations sent: ``screening_id`` and ``candidate_id`` of each."""
        with self.service.lock:
            return list(self.account.invitations)

    @property
    def deliveries(self) -> list[Delivery]:
        """The webhook deliveries, the latest last."""
        with self.service.lock:
            return list(self.service.outbox.deliveries)

    @property
    def requests(self) -> list[Entry]:
        """The requests to the API, the latest last."""
        with self.service.lock:
            return list(self.service.log.entries)

    def count(self, operation: str | None = None, status: int | None = None) -> int:
        """Count requests by operation, such as ``POST /candidates``, and by status (0: no response was sent)."""
        with self.service.lock:
            return self.service.log.count(operation, status)

    def fail(self, kind: Kind, **options: Any) -> None:
        """Switch a fault on; the options are those of ``Fault``."""
        with self.service.lock:
            self.service.faults.active.append(Fault(kind, **options))

    def fail_next(self, kind: Kind, times: int = 1, **options: Any) -> None:
        """Switch a fault on for the next ``times`` requests that it concerns."""
        self.fail(kind, times=times, **options)

    def heal(self) -> None:
        """Switch all faults off."""
        with self.service.lock:
            self.service.faults.active.clear()

    def insert_candidates(self, count: int) -> list[str]:
        """Put in generated candidates without requests or events, and return their ids."""
        with self.service.lock:
            return [candidate.id for candidate in self.account.insert_candidates(count)]

    def insert_screenings(self, candidate_ids: list[str], template_id: str = "t54321") -> list[str]:
        """Put in a screening for each candidate without requests, events or invitations; return their ids."""
        with self.service.lock:
            candidates = [find_candidate(self.account, candidate_id) for candidate_id in candidate_ids]
            rows = self.account.insert_screenings(candidates, self.account.templates[template_id])
            return [row.id for row in rows]

    def complete(self, screening_id: str, score: int | None = None) -> None:
        """Complete a screening now, with a score from 0 to 100 if given."""
        self.put(screening_id, COMPLETED, score)

    def put(self, screening_id: str, status: str, score: int | None = None) -> None:
        """Give a screening any status now."""
        with self.service.lock:
            self.account.put_screening(find_screening(self.account, screening_id), status, score)

    def archive(self, candidate_id: str) -> None:
        """Archive a candidate."""
        with self.service.lock:
            self.account.set_status(find_candidate(self.account, candidate_id), "archived")

    def delete(self, identifier: str) -> None:
        """Delete the candidate or screening with this id."""
        with self.service.lock:
            if identifier in self.account.candidates:
                self.account.delete_candidate(self.account.candidates[identifier])
            else:
                self.account.delete_screening(find_screening(self.account, identifier))

    def advance(self, seconds: float) -> None:
        """Let time pass at once: screenings go on, the limit recovers."""
        with self.service.lock:
            self.service.clock.advance(seconds)

    def skew(self, seconds: float) -> None:
        """Set the server's clock this many seconds wrong: ``Date``, ``X-RateLimit-Reset`` and timestamps."""
        with self.service.lock:
            self.service.clock.skew = seconds

    def send_webhooks_to(self, url: str | None, **changes: Any) -> None:
        """Deliver events to this URL from now on, or nowhere; change ``secret``, ``loss``, ``duplication`` too."""
        with self.service.lock:
            outbox = self.service.outbox
            outbox.webhook = outbox.webhook.changed(url=url, **changes)


def _run_loop(loop: asyncio.AbstractEventLoop, serving: Any) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(serving)
