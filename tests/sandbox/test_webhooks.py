from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread

import httpx
import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.sandbox.clients import client_of, created, screened


class Server(ThreadingHTTPServer):
    request_queue_size = 64


class Receiver:
    """Takes deliveries on a port; ``responses`` says with which statuses, 200 when it is used up."""

    def __init__(self) -> None:
        self.responses: list[int] = []
        self.taken: Queue[tuple[bytes, str]] = Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.taken.put((body, self.headers["X-PihuPulse-Signature"]))
                self.send_response(receiver.responses.pop(0) if receiver.responses else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def events(self, count: int) -> list[dict[str, object]]:
        return [json.loads(self.taken.get(timeout=5)[0]) for _ in range(count)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def sandbox(receiver: Receiver) -> Iterator[Sandbox]:
    with Sandbox(webhook_url=receiver.url, start_seconds=3600, screening_seconds=3600) as made:
        yield made


def test_a_delivery_is_signed_over_its_raw_body(sandbox: Sandbox, client: httpx.Client, receiver: Receiver) -> None:
    created(client)
    body, signature = receiver.taken.get(timeout=5)
    assert signature == hmac.new(sandbox.webhook_secret.encode(), body, hashlib.sha256).hexdigest()


def test_a_screening_sends_the_five_events(sandbox: Sandbox, client: httpx.Client, receiver: Receiver) -> None:
    candidate_id = created(client)
    screening_id = screened(client, candidate_id)
    receiver.events(2)
    sandbox.advance(3600)
    assert [event["event"] for event in receiver.events(1)] == ["screening.started"]
    sandbox.complete(screening_id, score=85)
    completed, generated = sorted(receiver.events(2), key=lambda event: event["event"], reverse=True)
    assert completed == {
        "event": "screening.completed",
        "created_at": completed["created_at"],
        "data": {
            "screening_id": screening_id,
            "candidate_id": candidate_id,
            "template_id": "t54321",
            "score": 85,
            "completed_at": completed["created_at"],
        },
    }
    assert generated["event"] == "report.generated"
    assert {delivery.event.name for delivery in sandbox.deliveries} == {
        "candidate.created",
        "screening.created",
        "screening.started",
        "screening.completed",
        "report.generated",
    }


def test_a_failed_screening_sends_nothing(sandbox: Sandbox, client: httpx.Client, receiver: Receiver) -> None:
    screening_id = screened(client, created(client))
    sandbox.put(screening_id, "expired")
    created(client, name="Last")
    names = [event["event"] for event in receiver.events(3)]
    assert sorted(names) == ["candidate.created", "candidate.created", "screening.created"]
    assert receiver.taken.empty()


def test_a_refused_delivery_is_sent_again_unchanged(client: httpx.Client, receiver: Receiver) -> None:
    receiver.responses[:] = [503]
    created(client)
    first, again = (receiver.taken.get(timeout=5) for _ in range(2))
    assert first == again


def test_deliveries_can_be_lost(sandbox: Sandbox, client: httpx.Client, receiver: Receiver) -> None:
    sandbox.send_webhooks_to(receiver.url, loss=1)
    created(client)
    while not sandbox.deliveries:
        client.get("/templates")
    sandbox.send_webhooks_to(receiver.url, loss=0)
    created(client, name="Second")
    assert receiver.events(1)[0]["data"]["name"] == "Second"
    assert [delivery.lost for delivery in sandbox.deliveries] == [True, False]


def test_deliveries_can_be_duplicated(sandbox: Sandbox, client: httpx.Client, receiver: Receiver) -> None:
    sandbox.send_webhooks_to(receiver.url, duplication=1)
    created(client)
    first, second = (receiver.taken.get(timeout=5) for _ in range(2))
    assert first == second


def test_several_deliveries_are_under_way_at_once(sandbox: Sandbox, client: httpx.Client, receiver: Receiver) -> None:
    for number in range(40):
        created(client, name=f"Number {number}")
    assert {event["data"]["name"] for event in receiver.events(40)} == {f"Number {number}" for number in range(40)}


def test_an_unreachable_receiver_stops_nothing() -> None:
    with Sandbox(webhook_url="http://127.0.0.1:9/hook") as sandbox, client_of(sandbox) as client:
        created(client)
        while not (sandbox.deliveries and sandbox.deliveries[0].attempts):
            assert client.get("/templates").status_code == 200
        assert sandbox.deliveries[0].status is None
