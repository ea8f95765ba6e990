"""The HTTP server around the receiver when it runs by itself: uvicorn, on a socket of its own."""

from __future__ import annotations

import errno
import resource
import socket
from contextlib import suppress
from typing import Any

import uvicorn

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.webhooks.bounded_protocol import BoundedProtocol

_OPEN_FILES = 4096
_BACKLOG = 2048
"""Connections that wait to be taken."""
_NOT_STARTED = 3
"""The exit code of uvicorn for it."""
_TAKES_NAMES = (0, 41)
"""The first uvicorn known to take a protocol by name; 0.35, which the constraints of Airflow 3.0 name, does not."""


def _protocol() -> Any:
    """Return the protocol, by name if uvicorn takes that: a worker then imports it once it answers its parent."""
    takes_names = tuple(map(int, uvicorn.__version__.split(".")[:2])) >= _TAKES_NAMES
    return f"{BoundedProtocol.__module__}:{BoundedProtocol.__name__}" if takes_names else BoundedProtocol


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; connections queue up from now on.

    :raises ConfigurationError: if nothing can listen there.
    """
    try:
        families = [found[0] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        listener = socket.socket(socket.AF_INET if socket.AF_INET in families else families[0])
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(host, port, error) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections take it over. asyncio sets it as well, but workers don't know that this is TCP.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def _cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> ConfigurationError:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return ConfigurationError(f"Port {port} on {host} is taken: choose another one, or 0 for any free one.")
    if number == errno.EACCES:
        return ConfigurationError(f"Port {port} on {host} is not for this user: choose one from 1024 up.")
    why = getattr(error, "strerror", None) or "it is not a host's name"
    return ConfigurationError(
        f"Nothing can listen at {host}, which is no address of this machine: {why}. Choose one that is, or 0.0.0.0 for "
        "all of them."
    )


def run(application: str, listener: socket.socket, *, workers: int = 1) -> None:
    """Serve until stopped.

    :param application: ``module:function`` that makes the application, in each worker.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, enough), hard))
    options: dict[str, Any] = {
        "factory": True,
        "backlog": _BACKLOG,
        "http": _protocol(),
        "lifespan": "on",
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        "ws": "none",
        "timeout_graceful_shutdown": 10,
    }
    if workers > 1:
        uvicorn.run(application, fd=listener.fileno(), workers=workers, **options)
        return
    # This server closes the listener as it stops: nobody waits at it for a connection that is not taken any more.
    server = uvicorn.Server(uvicorn.Config(application, **options))
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    if not server.started:
        raise SystemExit(_NOT_STARTED)
