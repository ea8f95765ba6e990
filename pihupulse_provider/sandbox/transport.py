"""Reaches the service from an httpx client of the same process, without a port."""

from __future__ import annotations

import httpx

from pihupulse_provider.sandbox.service import Service
from pihupulse_provider.sandbox.wire import Answer, Request


class SandboxTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport for both kinds of client; no time passes for a late answer but the service's own.

    An answer later than the client's read timeout raises ``httpx.ReadTimeout``, one that is dropped or cut
    ``httpx.RemoteProtocolError``, as over a network.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of ``httpx.Client``."""
        request.read()
        return self._exchange(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of ``httpx.AsyncClient``."""
        await request.aread()
        return self._exchange(request)

    def _exchange(self, request: httpx.Request) -> httpx.Response:
        answer = self._service.answer(_request(request))
        if answer.delay:
            self._wait(answer.delay, request)
        if answer.arrival == "nothing":
            message = "Server disconnected without sending a response."
            raise httpx.RemoteProtocolError(message, request=request)
        if answer.arrival == "cut":
            message = "peer closed connection without sending complete message body"
            raise httpx.RemoteProtocolError(message, request=request)
        return _response(answer, request)

    def _wait(self, seconds: float, request: httpx.Request) -> None:
        patience = request.extensions.get("timeout", {}).get("read")
        late = patience is not None and seconds > patience
        self._service.clock.advance(patience if late else seconds)
        if late:
            raise httpx.ReadTimeout("The read operation timed out", request=request)


def _request(request: httpx.Request) -> Request:
    return Request(
        method=request.method,
        path=request.url.path,
        query=request.url.query.decode(),
        authorization=request.headers.get("Authorization", ""),
        content_type=request.headers.get("Content-Type", ""),
        body=request.content,
    )


def _response(answer: Answer, request: httpx.Request) -> httpx.Response:
    body = b"" if request.method == "HEAD" else answer.arriving
    headers = {**answer.headers, "Content-Type": answer.content_type}
    return httpx.Response(answer.status, headers=headers, content=body, request=request)
