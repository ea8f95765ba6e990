"""Commands on the receiver."""

from __future__ import annotations

import json
import logging
import sys
from argparse import Namespace
from datetime import UTC, datetime

import httpx

from pihupulse_provider.api.errors import ConfigurationError, PihuPulseError, TransportError
from pihupulse_provider.cli.declared import DEFAULT_PORT
from pihupulse_provider.cli.output import command
from pihupulse_provider.hooks import settings
from pihupulse_provider.hooks.webhooks import read_secrets, receiver, webhook_connections
from pihupulse_provider.store.inbox import Inbox
from pihupulse_provider.webhooks.receiver import PREFIX, Receiver
from pihupulse_provider.webhooks.signature import SIGNATURE_HEADER, sign

_GOOD = {202: "stored", 200: "known already"}


@command
def serve(arguments: Namespace) -> None:
    """Serve until stopped."""
    from pihupulse_provider.webhooks.server import run

    if not webhook_connections():
        raise ConfigurationError(_NONE_NAMED)
    receiver(prefix=PREFIX)  # what is wrong with the configuration is told here, once, and not by each worker
    for connection in webhook_connections():
        print(f"Receiving at http://{arguments.host}:{arguments.port}{PREFIX}/webhooks/{connection}", flush=True)
    for problem in filter(None, map(_problem, webhook_connections())):
        print(f"{problem} Until then, deliveries are to be sent again.", file=sys.stderr, flush=True)
    run(f"{__name__}:application", host=arguments.host, port=arguments.port, workers=arguments.workers)


def application() -> Receiver:
    """Return the receiver as Airflow's configuration says, under the same path as in the API server.

    :raises ConfigurationError: if the configuration can't work.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    return receiver(prefix=PREFIX)


@command
def check(_: Namespace) -> None:
    """Say of each thing that webhooks need whether it is there."""
    problems = [] if webhook_connections() else [_NONE_NAMED]
    for connection in webhook_connections():
        if problem := _problem(connection):
            problems.append(problem)
        else:
            print(f"ok  connection {connection}: it has a webhook secret")
    try:
        inbox = Inbox(settings.store())
        inbox.check()
        print(f"ok  {inbox.store}: {inbox.head()} events received so far")
    except PihuPulseError as error:
        problems.append(str(error))
    if problems:
        raise SystemExit("\n".join(f"not ok  {problem}" for problem in problems))


@command
def send(arguments: Namespace) -> None:
    """Send an event, and print the answer."""
    base = (arguments.url or f"http://127.0.0.1:{DEFAULT_PORT}{PREFIX}").rstrip("/")
    url = f"{base}/webhooks/{arguments.connection}"
    body = _body(arguments)
    headers = {SIGNATURE_HEADER: sign(body, read_secrets(arguments.connection)[0]), "Content-Type": "application/json"}
    try:
        answer = httpx.post(url, content=body, headers=headers, timeout=30)
    except httpx.HTTPError as error:
        raise TransportError(f"{url} gave no answer: {error}. Does the receiver run there?") from None
    print(f"{url} answered {answer.status_code}: {_GOOD.get(answer.status_code, answer.text[:300])}")
    if answer.status_code not in _GOOD:
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


def _problem(connection: str) -> str:
    """Return why a connection's secrets can't be read; empty if they can."""
    try:
        read_secrets(connection)
    except PihuPulseError as error:
        return str(error)
    except Exception as error:
        # A secrets backend may raise anything, and put anything into its message.
        return f"Connection {connection!r} can't be read: {type(error).__name__}."
    return ""


_NONE_NAMED = (
    "[pihupulse] webhook_connections names no connection: set it to the ids of the connections that webhooks are "
    "received for, such as pihupulse_default."
)
