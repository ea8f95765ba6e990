"""The PihuPulse API without a network: a request goes in, a response comes out."""

from __future__ import annotations

import math
import threading
from hmac import compare_digest

from pihupulse_provider.sandbox.account import Account
from pihupulse_provider.sandbox.clock import Clock
from pihupulse_provider.sandbox.faults import Faults
from pihupulse_provider.sandbox.http import ApiError, Request, Response
from pihupulse_provider.sandbox.journal import Journal, NoJournal
from pihupulse_provider.sandbox.limits import Verdict
from pihupulse_provider.sandbox.records import Pace
from pihupulse_provider.sandbox.request_log import Entry, RequestLog
from pihupulse_provider.sandbox.routes import route_of, serve
from pihupulse_provider.sandbox.settings import Settings
from pihupulse_provider.sandbox.webhooks import Outbox


class Service:
    """A PihuPulse account with its key, its limit, its faults and its webhook.

    ``respond`` may be called from any thread; whoever reads or changes the parts holds ``lock``.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lock = threading.RLock()
        self.clock = Clock(settings.clock)
        self.journal = NoJournal() if settings.data is None else Journal(settings.data)
        self.log = RequestLog()
        self._begin()

    def respond(self, request: Request) -> Response:
        """Respond to a request below ``/v1``."""
        with self.lock:
            response = self.faults.around(request, self._serve)
            status = 0 if response.arrival == "nothing" else response.status
            route, _ = route_of(request.path)
            now = self.clock.now()
            self.log.add(Entry(now, request.method, route, request.path, request.query, status))
            response.headers.setdefault("Date", self.clock.http_date())
            return response

    def reset(self) -> None:
        """Begin again as at the first start: data, limit, faults, counters, webhook and skew. Time goes on."""
        with self.lock:
            self.journal.clear()
            self.clock.skew = 0.0
            self.log.clear()
            self._begin()

    def close(self) -> None:
        """Free the data file."""
        self.journal.close()

    def _begin(self) -> None:
        settings = self.settings
        self.limiter = settings.limiter()
        self.faults = Faults(settings.faults, settings.seed)
        self.account = Account(
            self.clock,
            seed=settings.seed,
            order=settings.order,
            pace=Pace(settings.start_seconds, settings.screening_seconds, settings.spread),
            templates=settings.templates,
            journal=self.journal,
            id_offset=int(self.clock.now() * 1000) if settings.unique_ids else 0,
        )
        self.outbox = Outbox(settings.webhook(), settings.seed)
        if not self.account.candidates:
            self.account.insert_candidates(settings.candidates, apart=60)

    def _serve(self, request: Request) -> Response:
        if not compare_digest(request.authorization.encode(), f"Bearer {self.settings.api_key}".encode()):
            return ApiError(401, "Authentication failed or API key is missing").response()
        verdict = self.limiter.take(self.clock.now())
        response = self._within_limit(request) if verdict.allowed else _refusal()
        response.headers |= self._rate_headers(verdict)
        return response

    def _within_limit(self, request: Request) -> Response:
        try:
            return serve(self.account, request)
        except ApiError as error:
            return error.response()

    def _rate_headers(self, verdict: Verdict) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(verdict.limit),
            "X-RateLimit-Remaining": str(verdict.remaining),
            "X-RateLimit-Reset": str(math.ceil(self.clock.reported(verdict.reset))),
        }


def _refusal() -> Response:
    return ApiError(429, "You've exceeded your rate limit").response()
