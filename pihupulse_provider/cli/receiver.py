"""Commands on the receiver."""

from __future__ import annotations

import json
import logging
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx

from pihupulse_provider.api.errors import ConfigurationError, PihuPulseError, TransportError
from pihupulse_provider.cli.output import command, ends_in_a_sentence, printable
from pihupulse_provider.hooks.webhooks import read_secrets, receiver, webhook_connections
from pihupulse_provider.webhooks.receiver import PREFIX, Receiver
from pihupulse_provider.webhooks.signature import SIGNATURE_HEADER, sign

_GOOD = {202: "stored", 200: "already known"}
_WRONG_METHOD = (
    "nothing receives webhooks at this address. Set [pihupulse] webhook_connections and restart the API server, or "
    "correct the path in --url."
)
_SAID = {**_GOOD, 405: _WRONG_METHOD}
_SHOWN = 300
"""Characters of another response that are shown; it may be endless."""


@ends_in_a_sentence
def serve(arguments: Namespace) -> None:
    """Serve until stopped."""
    from pihupulse_provider.webhooks.server import listen, run

    if not webhook_connections():
        raise ConfigurationError(
            "[pihupulse] webhook_connections names no connection: set it to the ids of the connections whose webhooks "
            "are received, such as pihupulse_default."
        )
    receiver(prefix=PREFIX)  # a configuration that can't work is reported here, once, and not by each worker
    listener = listen(arguments.host, arguments.port)
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    address = f"http://{host}:{listener.getsockname()[1]}{PREFIX}"
    for connection in webhook_connections():
        print(f"Receiving at {address}/webhooks/{connection}", flush=True)
        try:
            connection_secrets(connection)
        except PihuPulseError as error:
            print(f"Its deliveries are refused for now: {error}", file=sys.stderr, flush=True)
    run(f"{__name__}:application", listener, workers=arguments.workers)


def application() -> Receiver:
    """Return the receiver as Airflow's configuration says, under the same path as in the API server.

    :raises ConfigurationError: if the configuration can't work.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    return receiver(prefix=PREFIX)


@command
def send(arguments: Namespace) -> None:
    """Send an event, and print the receiver's response."""
    url = f"{arguments.url.rstrip('/')}/webhooks/{arguments.connection}"
    body = _body(arguments)
    headers = {
        SIGNATURE_HEADER: sign(body, connection_secrets(arguments.connection)[0]),
        "Content-Type": "application/json",
    }
    try:
        with httpx.stream("POST", url, content=body, headers=headers, timeout=30) as response:
            said = _SAID.get(response.status_code) or next(response.iter_text(_SHOWN), "")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error).rstrip(".") or type(error).__name__
        raise TransportError(f"There was no response from {url}: {why}. Is the receiver running there?") from None
    print(f"{url} responded with {response.status_code}: {printable(said)}")
    if response.status_code not in _GOOD:
        raise SystemExit(1)


def _body(arguments: Namespace) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    data = {
        "screening_id": arguments.screening_id,
        "candidate_id": arguments.candidate_id,
        "template_id": arguments.template_id,
        "score": arguments.score,
    }
    return json.dumps({"event": arguments.event, "created_at": now, "data": data}).encode()


def connection_secrets(connection_id: str) -> list[str]:
    """Return a connection's webhook secrets.

    :raises PihuPulseError: if there are none, or a secrets backend fails.
    """
    with reading(connection_id):
        return read_secrets(connection_id)


@contextmanager
def reading(connection_id: str) -> Iterator[None]:
    """Raise whatever a connection can't be read for as a ``PihuPulseError``.

    :raises PihuPulseError: if there is no such connection, it can't be used, or a secrets backend fails.
    """
    try:
        yield
    except PihuPulseError:
        raise
    except Exception as error:
        # A secrets backend may raise anything, and put anything into its message.
        raise ConfigurationError(
            f"Connection {connection_id} can't be read, because of {type(error).__name__}: "
            f"airflow connections get {connection_id} shows more."
        ) from None
