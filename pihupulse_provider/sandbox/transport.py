"""Reaches the sandbox from an httpx client of the same process, without a port."""

from __future__ import annotations

import httpx

from pihupulse_provider.sandbox.http import Request, Response
from pihupulse_provider.sandbox.site import Site


class SandboxTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport for both kinds of client; a late response takes no time but the service's own.

    A response later than the client's read timeout raises ``httpx.ReadTimeout``, one that is dropped or cut
    ``httpx.RemoteProtocolError``, as over a network.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Serve a request of ``httpx.Client``."""
        request.read()
        return self._exchange(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Serve a request of ``httpx.AsyncClient``."""
        await request.aread()
        return self._exchange(request)

    def _exchange(self, request: httpx.Request) -> httpx.Response:
        response = self._site.respond(_request(request))
        if response.delay:
            self._wait(response.delay, request)
        if response.arrival == "nothing":
            message = "Server disconnected without sending a response."
            raise httpx.RemoteProtocolError(message, request=request)
        if response.arrival == "cut":
            message = "peer closed connection without sending complete message body"
            raise httpx.RemoteProtocolError(message, request=request)
        return _response(response, request)

    def _wait(self, seconds: float, request: httpx.Request) -> None:
        patience = request.extensions.get("timeout", {}).get("read")
        late = patience is not None and seconds > patience
        self._site.service.clock.advance(patience if late else seconds)
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


def _response(response: Response, request: httpx.Request) -> httpx.Response:
    body = b"" if request.method == "HEAD" else response.arriving
    headers = {**response.headers, "Content-Type": response.content_type}
    return httpx.Response(response.status, headers=headers, content=body, request=request)
