"""A pooler in front of PostgreSQL that gives each transaction another connection to the server, as PgBouncer can."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url

_CONNECTIONS = 2


@contextmanager
def pooled(url: str, requests: list[bytes] | None = None) -> Iterator[str]:
    """Run one on a free port of loopback; yield the URL of the database behind it.

    :param requests: what clients send is put there, of which each waits for a response.
    """
    address = make_url(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serve = threading.Thread(target=_accept, args=(listener, (address.host, address.port), requests), daemon=True)
        serve.start()
        port = listener.getsockname()[1]
        yield address.set(port=port).render_as_string(hide_password=False)
        listener.shutdown(socket.SHUT_RDWR)
        serve.join()


def _accept(listener: socket.socket, server: tuple[str | None, int | None], requests: list[bytes] | None) -> None:
    while True:
        try:
            client = listener.accept()[0]
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, server, requests), daemon=True).start()


def _serve(client: socket.socket, server: tuple[str | None, int | None], requests: list[bytes] | None) -> None:
    """Pass each transaction to the next of some connections, until the client goes."""
    servers = [socket.create_connection((server[0] or "127.0.0.1", server[1] or 5432)) for _ in range(_CONNECTIONS)]
    with client:
        start = _startup(client)
        greetings = [_greet(one, start) for one in servers]
        client.sendall(greetings[0])
        turn = 0
        while request := _request(client):
            if requests is not None:
                requests.append(request)
            servers[turn].sendall(request)
            response = b"".join(_until_ready(servers[turn]))
            client.sendall(response)
            if response.endswith(b"I"):  # no transaction is open
                turn = (turn + 1) % len(servers)
    for one in servers:
        one.close()


def _startup(client: socket.socket) -> bytes:
    """Return the client's first message; refuse encryption, which it asks for before that."""
    while True:
        size = _exactly(client, 4)
        message = size + _exactly(client, struct.unpack("!I", size)[0] - 4)
        if message[4:8] not in (struct.pack("!I", 80877103), struct.pack("!I", 80877104)):
            return message
        client.sendall(b"N")


def _greet(server: socket.socket, start: bytes) -> bytes:
    """Log in, and return what a client is told: PgBouncer gives it a key of its own, of no process."""
    server.sendall(start)
    return b"".join(
        message[:5] + struct.pack("!I", 1) + message[9:] if message[:1] == b"K" else message
        for message in _until_ready(server)
    )


def _request(client: socket.socket) -> bytes:
    """Return the messages up to the one that asks for an end; empty once the client goes."""
    request = b""
    while True:
        message = _message(client)
        request += message
        if message[:1] in (b"Q", b"S"):
            return request
        if message[:1] in (b"X", b""):
            return b""


def _until_ready(server: socket.socket) -> Iterator[bytes]:
    while message := _message(server):
        yield message
        if message[:1] == b"Z":
            return


def _message(peer: socket.socket) -> bytes:
    kind = peer.recv(1)
    if not kind:
        return b""
    size = _exactly(peer, 4)
    return kind + size + _exactly(peer, struct.unpack("!I", size)[0] - 4)


def _exactly(peer: socket.socket, size: int) -> bytes:
    return peer.recv(size, socket.MSG_WAITALL) if size else b""
