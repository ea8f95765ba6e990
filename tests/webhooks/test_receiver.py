"""What the receiver answers, on a real port."""

from __future__ import annotations

import json
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.middleware.gzip import GZipMiddleware

from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.inbox import Inbox
from pihupulse_provider.webhooks import SIGNATURE_HEADER, sign
from pihupulse_provider.webhooks.handler import LARGEST_BODY
from pihupulse_provider.webhooks.receiver import PREFIX, Receiver
from tests.webhooks.conftest import stored
from tests.webhooks.deliveries import completed, deliver, signed
from tests.webhooks.running import CONNECTION, SECRET, receiving, serving


def test_a_delivery_is_stored_before_it_is_answered(url: str, inbox: Inbox):
    body = completed("s1")
    answer = deliver(url, body)
    assert (answer.status_code, answer.content) == (202, b"")
    (entry,) = stored(inbox)
    assert (entry.connection, entry.body, entry.event.screening_id) == (CONNECTION, body, "s1")


def test_the_same_body_again_is_known(url: str, inbox: Inbox):
    assert deliver(url, completed("s1")).status_code == 202
    answer = deliver(url, completed("s1"))
    assert (answer.status_code, answer.content) == (200, b"")
    assert len(stored(inbox)) == 1


def test_sixteen_copies_at_once_are_stored_once(url: str, inbox: Inbox):
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: deliver(url, completed("s1")).status_code, range(16)))
    assert sorted(statuses) == [200] * 15 + [202]
    assert len(stored(inbox)) == 1


@pytest.mark.parametrize("event", ["candidate.created", "report.generated", "screening.expired", "团队.created"])
def test_an_event_of_any_name_is_stored_as_it_came(url: str, inbox: Inbox, event: str):
    body = completed("s1", event, name="Zoë Łuk 张伟 🙂")
    assert deliver(url, body).status_code == 202
    assert [(entry.event.event, entry.body) for entry in stored(inbox)] == [(event, body)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"screening.completed"',
        b"{}",
        b'{"event": null}',
        b'{"event": ""}',
        b'{"event": ["screening.completed"]}',
        b'{"event": "a\\u0000b"}',
        b'{"event": "a\\nb"}',
        b'{"event": "\\ud800"}',
        b'{"event": "%s"}' % (b"x" * 256),
        b'{"event": "screening.completed"',
        b'{"event": "x", "data": %s%s}' % (b"[" * 300, b"]" * 300),
        b"[" * 60_000,
        b"\xff\xfe",
        b'{"event": "x", "data": {"score": NaN}}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_not_an_event_is_refused(url: str, inbox: Inbox, body: bytes):
    answer = deliver(url, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_an_event")
    assert stored(inbox) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"event": "screening.completed", "data": {"screening_id": "s1", "note": "\\ud83d"}}',
        b'\xef\xbb\xbf{"event": "screening.completed", "data": {"screening_id": "s1"}}',
        b'{"event": "screening.completed", "data": {"screening_id": "s1", "note": "caf\xe9"}}',
        b'{"event": "screening.completed", "data": {"screening_id": "s1", "score": 1%s}}' % (b"0" * 5000),
    ],
    ids=["half an emoji", "byte order mark", "Latin-1", "a number without end"],
)
def test_an_event_with_a_fault_in_what_nobody_reads_is_stored(url: str, inbox: Inbox, body: bytes):
    assert deliver(url, body).status_code == 202
    (entry,) = stored(inbox)
    assert (entry.body, entry.event.screening_id) == (body, "s1")
    json.dumps(entry.document(), ensure_ascii=False).encode()


async def test_what_a_response_says_stands_although_middleware_changes_its_headers(store: Store):
    receiver = Receiver(store, {CONNECTION: lambda: [SECRET]}, retention=86400, prefix="/pihupulse")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(GZipMiddleware(receiver, minimum_size=1)), base_url="http://airflow.test"
    ) as client:
        for accepted in ("gzip", "gzip", "identity", "identity"):
            headers = {"accept-encoding": accepted}
            answer = await client.post(f"/pihupulse/webhooks/{CONNECTION}", content=b"{}", headers=headers)
            assert answer.json()["error"]["code"] == "bad_signature"
            assert answer.headers.get_list("content-encoding") == (["gzip"] if accepted == "gzip" else [])
    await receiver.close()


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "0" * 64,
        "0" * 63,
        "z" * 64,
        "sha256=" + "0" * 64,
        sign(completed(), "another secret"),
        sign(completed() + b" ", SECRET),
    ],
)
def test_a_bad_signature_is_refused(url: str, inbox: Inbox, header: str | None):
    headers = {} if header is None else {SIGNATURE_HEADER: header}
    answer = httpx.post(url, content=completed(), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "bad_signature")
    assert stored(inbox) == []


def test_two_signatures_are_refused(url: str, inbox: Inbox):
    good = sign(completed(), SECRET)
    answer = httpx.post(url, content=completed(), headers=[(SIGNATURE_HEADER, good), (SIGNATURE_HEADER, good)])
    assert answer.status_code == 401
    assert stored(inbox) == []


def test_a_large_body_is_refused_by_what_its_header_says(url: str):
    body = b"x" * (LARGEST_BODY + 1)
    assert deliver(url, body).status_code == 413


def test_a_large_body_without_a_length_is_refused_too(url: str, inbox: Inbox):
    parts = [b"x" * 10_000] * 7
    answer = httpx.post(url, content=iter(parts), headers=signed(b"".join(parts)))
    assert answer.status_code == 413
    assert stored(inbox) == []


def test_the_largest_body_is_taken(url: str):
    body = completed(note="x" * (LARGEST_BODY - len(completed(note=""))))
    assert (len(body), deliver(url, body).status_code) == (LARGEST_BODY, 202)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/pihupulse/webhooks/pihupulse_default", 405),
        ("PUT", "/pihupulse/webhooks/pihupulse_default", 405),
        ("POST", "/pihupulse/webhooks/another", 404),
        ("POST", "/pihupulse/webhooks/", 404),
        ("POST", "/pihupulse/webhooks/pihupulse_default/x", 404),
        ("POST", "/webhooks/pihupulse_default", 404),
        ("GET", "/", 404),
        ("POST", "/pihupulse/health", 405),
        ("GET", "/pihupulse/openapi.json", 200),
    ],
)
def test_only_the_documented_paths_are_there(url: str, method: str, path: str, status: int):
    answer = httpx.request(method, f"http://{urlsplit(url).netloc}{path}", headers=signed(b""))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"


def test_a_connection_whose_events_are_not_received_looks_like_any_other_path(url: str):
    other, nothing = url.replace(CONNECTION, "secret_one"), url.rsplit("/", 2)[0] + "/nothing"
    assert httpx.post(other).content == httpx.post(nothing).content


def test_health_says_whether_events_can_be_stored(url: str, store: Store):
    health = url.rsplit("/", 2)[0] + "/health"
    assert httpx.get(health).json() == {"status": "ok"}
    with store.begin() as connection:
        connection.exec_driver_sql("DROP TABLE pihupulse_inbox")
    time.sleep(1.1)
    answer = httpx.get(health)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (httpx.head(health).status_code, httpx.head(health).content) == (503, b"")


@pytest.mark.parametrize("path", ["health", "openapi.json"])
async def test_a_head_is_answered_as_a_get_without_its_body(store: Store, path: str):
    """As load balancers ask; asked within the process, where no server takes the body away."""
    receiver = Receiver(store, {CONNECTION: lambda: [SECRET]}, retention=86400, prefix=PREFIX)
    transport = httpx.ASGITransport(receiver)
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver.test") as client:
        whole, head = [await client.request(method, f"{PREFIX}/{path}") for method in ("GET", "HEAD")]
        wrong = await client.post(f"{PREFIX}/{path}")
    assert (head.status_code, head.content, head.headers) == (200, b"", whole.headers)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")


def test_a_head_leaves_the_connection_to_the_next_request(url: str):
    with httpx.Client() as client:
        health = url.rsplit("/", 2)[0] + "/health"
        answers = [client.request(method, health) for method in ("HEAD", "GET", "HEAD")]
    assert [(answer.status_code, bool(answer.content)) for answer in answers] == [
        (200, False),
        (200, True),
        (200, False),
    ]


def test_a_store_that_fails_makes_the_sender_come_again(url: str, store: Store):
    assert deliver(url, completed("s1")).status_code == 202
    with store.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE pihupulse_inbox RENAME TO away")
    answer = deliver(url, completed("s2"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    with store.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO pihupulse_inbox")
    assert deliver(url, completed("s2")).status_code == 202


def test_a_slow_sender_is_cut_off_and_keeps_nobody_waiting(store: Store):
    receiver = Receiver(store, {CONNECTION: lambda: [SECRET]}, retention=86400, prefix=PREFIX, body_seconds=0.3)
    with serving(receiver) as address:
        url = f"{address}{PREFIX}/webhooks/{CONNECTION}"
        with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as slow:
            head = f"POST /pihupulse/webhooks/{CONNECTION} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
            slow.sendall(f"{head}{SIGNATURE_HEADER}: {'0' * 64}\r\n\r\n{{".encode())
            assert deliver(url, completed("s1")).status_code == 202
            slow.settimeout(5)
            assert slow.recv(4096).startswith(b"HTTP/1.1 408")


def test_the_log_counts_and_names_nobody(store: Store, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "pihupulse_provider")
    counted: dict[str, int] = {}
    with receiving(store, report=counted.update) as url:
        body = completed("s1", "candidate.created", name="Jane Doe", email="jane@example.com")
        assert [deliver(url, body).status_code for _ in range(2)] == [202, 200]
        for _ in range(20):
            httpx.post(url, content=body, headers={SIGNATURE_HEADER: "jane@example.com"})
    assert counted == {"stored": 1, "known": 1, "bad_signature": 20}
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("pihupulse_provider.webhooks")]
    assert lines == ["webhooks bad_signature=20 known=1 stored=1"]
