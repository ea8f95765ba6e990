"""Everything at the sandbox's address: the API, the control API and the OpenAPI document."""

from __future__ import annotations

from pihupulse_provider.sandbox import control, routes
from pihupulse_provider.sandbox.http import ApiError, Request, Response, json_response
from pihupulse_provider.sandbox.openapi import openapi_document
from pihupulse_provider.sandbox.service import Service


class Site:
    """Gives each request to the part of the sandbox that it is for; ``respond`` may be called from any thread."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._control = control.Control(service)

    def respond(self, request: Request) -> Response:
        """Respond to one request."""
        if request.path.startswith(f"{routes.PREFIX}/"):
            return self.service.respond(request)
        if request.path.startswith(control.PREFIX):
            with self.service.lock:
                return self._control.respond(request)
        if request.path == "/openapi.json":
            return json_response(openapi_document())
        return ApiError(404, "Only /v1, /openapi.json and /_sandbox are here").response()
