"""The whole service without a network: a request goes in, an answer comes out."""

from __future__ import annotations

import math
import threading
from hmac import compare_digest

from pihupulse_provider.sandbox.account import Account
from pihupulse_provider.sandbox.clock import Clock
from pihupulse_provider.sandbox.control import Control
from pihupulse_provider.sandbox.docs_page import docs_page
from pihupulse_provider.sandbox.faults import Faults
from pihupulse_provider.sandbox.journal import Journal, Memory
from pihupulse_provider.sandbox.limits import Verdict
from pihupulse_provider.sandbox.log import Entry, RequestLog
from pihupulse_provider.sandbox.openapi import openapi_document
from pihupulse_provider.sandbox.outbox import Outbox
from pihupulse_provider.sandbox.routes import PREFIX, route_of, serve
from pihupulse_provider.sandbox.screenings import Pace
from pihupulse_provider.sandbox.settings import Settings
from pihupulse_provider.sandbox.wire import Answer, ApiError, Request, json_answer


class Service:
    """A PihuPulse account with its key, its limit, its faults and its webhook.

    ``answer`` may be called from any thread; whoever reads or changes the parts holds ``lock``.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lock = threading.RLock()
        self.clock = Clock(settings.clock)
        self.journal = Memory() if settings.data is None else Journal(settings.data)
        self.log = RequestLog()
        self._control = Control(self)
        self._begin()

    def answer(self, request: Request) -> Answer:
        """Answer one request."""
        with self.lock:
            if not request.path.startswith(f"{PREFIX}/"):
                return self._answer_aside(request)
            answer = self.faults.around(request, self._serve)
            status = 0 if answer.arrival == "nothing" else answer.status
            route, _ = route_of(request.path)
            now = self.clock.now()
            self.log.add(Entry(now, request.method, route, request.path, request.query, status))
            answer.headers.setdefault("Date", self.clock.http_date())
            return answer

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
        )
        self.outbox = Outbox(settings.webhook(), settings.seed)
        if not self.account.candidates:
            self.account.insert_candidates(settings.candidates, apart=60)

    def _serve(self, request: Request) -> Answer:
        if not compare_digest(request.authorization.encode(), f"Bearer {self.settings.api_key}".encode()):
            return ApiError(401, "Authentication failed or API key is missing").answer()
        verdict = self.limiter.take(self.clock.now())
        answer = self._within_limit(request) if verdict.allowed else _refusal()
        answer.headers |= self._rate_headers(verdict)
        return answer

    def _within_limit(self, request: Request) -> Answer:
        try:
            return serve(self.account, request)
        except ApiError as error:
            return error.answer()

    def _rate_headers(self, verdict: Verdict) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(verdict.limit),
            "X-RateLimit-Remaining": str(verdict.remaining),
            "X-RateLimit-Reset": str(math.ceil(self.clock.told(verdict.reset))),
        }

    def _answer_aside(self, request: Request) -> Answer:
        if request.path.startswith("/_sandbox"):
            return self._control.answer(request)
        if request.path == "/docs":
            return Answer(200, docs_page().encode(), content_type="text/html; charset=utf-8")
        if request.path == "/openapi.json":
            return json_answer(openapi_document())
        return ApiError(404, "Only /v1, /docs, /openapi.json and /_sandbox are here").answer()


def _refusal() -> Answer:
    return ApiError(429, "You've exceeded your rate limit").answer()
