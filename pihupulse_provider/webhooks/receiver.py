"""The receiver: an ASGI application that answers a delivery once it is stored."""

from __future__ import annotations

from pihupulse_provider.webhooks.counters import Tally
from pihupulse_provider.webhooks.handler import BODY_SECONDS, LARGEST_BODY, Intake
from pihupulse_provider.webhooks.health import Health
from pihupulse_provider.webhooks.http import Answer, DisconnectedError, Receive, Scope, Send, path_below, refusal
from pihupulse_provider.webhooks.openapi import openapi
from pihupulse_provider.webhooks.outcome import Outcome
from pihupulse_provider.webhooks.signature import SIGNATURE_HEADER

PREFIX = "/pihupulse"
"""The path under which everything is served, in Airflow's API server and alone."""
_LATER = {"retry-after": "5"}
_CLOSE = {"connection": "close"}

ANSWERS = {
    Outcome.STORED: Answer(202),
    Outcome.KNOWN: Answer(200),
    Outcome.BAD_SIGNATURE: refusal(401, "bad_signature", f"{SIGNATURE_HEADER} is missing or does not fit the body."),
    Outcome.NOT_AN_EVENT: refusal(400, "not_an_event", 'The body is not a JSON object that names an "event".'),
    Outcome.TOO_LARGE: refusal(413, "too_large", f"The body has more than {LARGEST_BODY} bytes.", _CLOSE),
    Outcome.TOO_SLOW: refusal(408, "too_slow", f"The body took more than {BODY_SECONDS:.0f} seconds.", _CLOSE),
    Outcome.UNAVAILABLE: refusal(503, "unavailable", "The event can't be stored now: send it again.", _LATER),
    Outcome.NOT_FOUND: refusal(404, "not_found", "There is nothing here."),
}


class Receiver:
    """Receives webhooks at ``/webhooks/<connection id>``, and tells its health at ``/health``.

    :param intake: takes the deliveries.
    :param health: tells whether the inbox can be written.
    :param tally: counts the outcomes.
    :param prefix: the path before its own, when it is not mounted under one.
    """

    def __init__(self, intake: Intake, health: Health, tally: Tally, *, prefix: str = "") -> None:
        self._intake = intake
        self._health = health
        self._tally = tally
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def close(self) -> None:
        """Store what still waits, and log what was counted."""
        await self._intake.close()
        self._tally.flush()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except DisconnectedError:
            return
        await answer.send(send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        match path_below(scope, self._prefix).split("/"):
            case ["", "health"]:
                return await self._tell_health() if scope["method"] == "GET" else _wrong_method("GET")
            case ["", "openapi.json"]:
                return Answer(200, openapi(PREFIX)) if scope["method"] == "GET" else _wrong_method("GET")
            case ["", "webhooks", connection] if self._intake.knows(connection):
                return await self._receive(connection, scope, receive)
        return self._count(Outcome.NOT_FOUND)

    async def _receive(self, connection: str, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            return _wrong_method("POST")
        return self._count(await self._intake.take(connection, scope, receive))

    def _count(self, outcome: Outcome) -> Answer:
        self._tally.count(outcome)
        return ANSWERS[outcome]

    async def _tell_health(self) -> Answer:
        if await self._health.is_good():
            return Answer(200, {"status": "ok"})
        return refusal(503, "unavailable", "The inbox can't be written.", _LATER)


def _wrong_method(right: str) -> Answer:
    return refusal(405, "wrong_method", f"Use {right}.", {"allow": right})
