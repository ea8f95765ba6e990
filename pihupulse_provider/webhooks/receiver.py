"""The receiver: an ASGI application that answers a delivery once it is stored."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.store.engine import Store, StoreError
from pihupulse_provider.store.inbox import Inbox
from pihupulse_provider.store.retention import prune_older_than
from pihupulse_provider.webhooks.group_commit import GroupCommit
from pihupulse_provider.webhooks.handler import BODY_SECONDS, LARGEST_BODY, Counters, Handler, Outcome, Report
from pihupulse_provider.webhooks.http import DisconnectedError, Receive, Response, Scope, Send, path_below, refusal
from pihupulse_provider.webhooks.openapi import openapi
from pihupulse_provider.webhooks.signature import SIGNATURE_HEADER, LoadSecrets, SecretCache, SecretsUnavailableError

_log = logging.getLogger(__name__)
_EVERY_SECONDS = 3600.0


class Retention:
    """Keeps the inbox of a store to what is younger than so many seconds."""

    def __init__(self, store: Store, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop: now, and then every hour."""
        self._task = self._task or asyncio.create_task(self._run())

    def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.to_thread(self._prune)
            await asyncio.sleep(_EVERY_SECONDS)

    def _prune(self) -> None:
        try:
            deleted = prune_older_than(self._store, self._seconds)
        except StoreError as error:
            _log.warning("Old events can't be deleted, which is tried again in an hour: %s", error)
        else:
            if deleted:
                _log.info("Deleted events older than %g days: %d.", self._seconds / 86400, deleted)


INBOX_PROBLEM = "The inbox can't be written."
_CHECK_COUNTS_SECONDS = 1.0
"""For how long a check of the inbox counts."""
_CHECK_SECONDS = 5.0
"""After how long a check that has not ended counts as failed."""


class Health:
    """The health of the receiver: what keeps deliveries from being stored.

    :param check: raises a PihuPulseError if the inbox can't be written; it may block.
    :param secrets: the connections that webhooks are received for, each with its secrets.
    """

    def __init__(self, check: Callable[[], None], secrets: Mapping[str, SecretCache]) -> None:
        self._check = check
        self._secrets = secrets
        self._lock = asyncio.Lock()
        self._checked_at = float("-inf")
        self._problems: list[str] = []

    async def problems(self) -> list[str]:
        """Return what keeps deliveries from being stored, in a sentence each; empty if nothing does."""
        async with self._lock:
            if time.monotonic() - self._checked_at > _CHECK_COUNTS_SECONDS:
                self._problems = [*await self._of_inbox(), *await self._of_secrets()]
                self._checked_at = time.monotonic()
            return self._problems

    async def _of_inbox(self) -> list[str]:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await asyncio.to_thread(self._check)
        except (PihuPulseError, TimeoutError):
            return [INBOX_PROBLEM]
        return []

    async def _of_secrets(self) -> list[str]:
        found = await asyncio.gather(*map(_problem, self._secrets.values()))
        return [problem for problem in found if problem]


async def _problem(secrets: SecretCache) -> str:
    try:
        await secrets.current()
    except SecretsUnavailableError as error:
        return str(error)
    return ""


PREFIX = "/pihupulse"
"""The path under which everything is served, in Airflow's API server and alone."""
_READING = ("GET", "HEAD")
"""Load balancers ask for the health by either."""

RESPONSES = {
    Outcome.STORED: Response(202),
    Outcome.KNOWN: Response(200),
    Outcome.BAD_SIGNATURE: refusal(401, "bad_signature", f"{SIGNATURE_HEADER} is missing or does not fit the body."),
    Outcome.NOT_AN_EVENT: refusal(400, "not_an_event", 'The body is not a JSON object that names an "event".'),
    Outcome.TOO_LARGE: refusal(413, "too_large", f"The body has more than {LARGEST_BODY} bytes."),
    Outcome.TOO_SLOW: refusal(408, "too_slow", f"The body took more than {BODY_SECONDS:.0f} seconds."),
    Outcome.UNAVAILABLE: refusal(503, "unavailable", "The event can't be stored now: send it again."),
    Outcome.NOT_FOUND: refusal(404, "not_found", "There is nothing here."),
}


class Receiver:
    """Receives webhooks at ``/webhooks/<connection id>``, and tells its health at ``/health``.

    :param store: the store into whose inbox deliveries go.
    :param secrets: the connections that webhooks are received for, each with what reads its secrets.
    :param retention: seconds for which an event is kept; older ones are deleted while the receiver runs.
    :param report: takes the counts of outcomes every few seconds, for metrics.
    :param prefix: the path before its own, when it is not mounted under one.
    :param body_seconds: how long a sender may take to send the body.
    """

    def __init__(
        self,
        store: Store,
        secrets: Mapping[str, LoadSecrets],
        *,
        retention: float,
        report: Report | None = None,
        prefix: str = "",
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        inbox = Inbox(store)
        caches = {connection: SecretCache(connection, load) for connection, load in secrets.items()}
        self._commit = GroupCommit(inbox.append)
        self._handler = Handler(caches, self._commit, body_seconds)
        self._health = Health(inbox.check, caches)
        self._counters = Counters(report)
        self._retention = Retention(store, retention)
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    def start(self) -> None:
        """Begin what goes on beside the deliveries, on the running event loop."""
        self._retention.start()

    async def close(self) -> None:
        """Store what still waits, and log what was counted."""
        self._retention.stop()
        await self._commit.close()
        self._counters.flush()

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        self.start()
        scope.get("state", {})["count"] = self._counters.count
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(scope, receive)
        except DisconnectedError:
            return
        await response.send(scope, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        match path_below(scope, self._prefix).split("/"):
            case ["", "webhooks", connection] if self._handler.knows(connection):
                return await self._receive(connection, scope, receive)
            case ["", "health"]:
                return await self._health_response() if scope["method"] in _READING else _wrong_method("GET")
            case ["", "openapi.json"]:
                return Response(200, openapi(PREFIX)) if scope["method"] in _READING else _wrong_method("GET")
        return self._count(Outcome.NOT_FOUND)

    async def _receive(self, connection: str, scope: Scope, receive: Receive) -> Response:
        if scope["method"] != "POST":
            return _wrong_method("POST")
        return self._count(await self._handler.handle(connection, scope, receive))

    def _count(self, outcome: Outcome) -> Response:
        self._counters.count(outcome)
        return RESPONSES[outcome]

    async def _health_response(self) -> Response:
        problems = await self._health.problems()
        return refusal(503, "unavailable", " ".join(problems)) if problems else Response(200, {"status": "ok"})


def _wrong_method(right: str) -> Response:
    allowed = ", ".join(_READING) if right in _READING else right
    return refusal(405, "wrong_method", f"Use {right}.", {"allow": allowed})
