"""The receiver described in OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from pihupulse_provider import __version__
from pihupulse_provider.api.events import EVENTS, NAME_PATTERN
from pihupulse_provider.webhooks.signature import SIGNATURE_HEADER

_JSON = "application/json"


def openapi(prefix: str) -> dict[str, Any]:
    """Return the document for a receiver that is served under ``prefix``."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "PihuPulse webhook receiver", "version": __version__},
        "paths": {
            f"{prefix}/webhooks/{{connection_id}}": {"post": _delivery()},
            f"{prefix}/health": {"get": _health(), "head": _health_alone()},
        },
    }


def _delivery() -> dict[str, Any]:
    return {
        "operationId": "deliver",
        "summary": "Deliver a webhook of PihuPulse",
        "parameters": [
            _parameter("path", "connection_id", {"type": "string", "pattern": "^[^/]+$"}),
            _parameter("header", SIGNATURE_HEADER, {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}),
        ],
        "requestBody": {"required": True, "content": {_JSON: {"schema": _event()}}},
        "responses": {
            "202": {"description": "The event is stored."},
            "200": {"description": "The event was stored before."},
            "400": _error("Not an event."),
            "401": _error("The signature is missing, malformed or wrong."),
            "404": _error("No webhooks are received for this connection."),
            "405": _error("Not a POST."),
            "408": _error("The body took too long."),
            "413": _error("The body is too large."),
            "503": _error("The event can't be stored now; Retry-After says when to send it again."),
        },
    }


def _health() -> dict[str, Any]:
    return {
        "operationId": "health",
        "summary": "Tell whether events can be stored",
        "responses": {
            "200": {"description": "They can.", "content": {_JSON: {"schema": _healthy()}}},
            "405": _error("Neither a GET nor a HEAD."),
            "503": _error("They can't."),
        },
    }


def _health_alone() -> dict[str, Any]:
    return {
        "operationId": "health_without_body",
        "summary": "Tell the same without a body",
        "responses": {"200": {"description": "They can."}, "503": {"description": "They can't."}},
    }


def _event() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["event"],
        "properties": {
            "event": {"type": "string", "pattern": f"^{NAME_PATTERN}$", "examples": list(EVENTS)},
            "created_at": {"description": "When it happened, as an ISO 8601 text; anything else is ignored."},
            "data": {"description": "An object that says what happened; anything else is ignored."},
        },
    }


def _parameter(where: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"in": where, "name": name, "required": True, "schema": schema}


def _healthy() -> dict[str, Any]:
    return {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}}


def _error(description: str) -> dict[str, Any]:
    error = {"type": "object", "required": ["code", "message"], "properties": {"code": {"type": "string"}}}
    schema = {"type": "object", "required": ["error"], "properties": {"error": error}}
    return {"description": description, "content": {_JSON: {"schema": schema}}}
