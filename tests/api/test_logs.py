"""What logs say of faults that last and of work that goes on."""

from __future__ import annotations

import logging

import httpx
import pytest

from pihupulse_provider.api.logs import OutageLog, Progress
from tests.api.drivers import BlockingDriver, EventLoopDriver, Service


def test_each_outage_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageLog(logging.getLogger("pihupulse_provider"))
    with caplog.at_level(logging.INFO):
        outage.recovered("It works again.")
        for _ in range(2):
            outage.failed("It fails: %s", "full")
            outage.failed("It fails: %s", "still full")
            outage.recovered("It works again.")

    lines = [("WARNING", "It fails: full"), ("INFO", "It works again.")]
    assert [(record.levelname, record.message) for record in caplog.records] == lines * 2


def lines(caplog, expected, steps):
    now = [0.0]
    progress = Progress("Creating candidates", lambda: now[0])
    progress.of = expected
    for _ in range(steps):
        now[0] += 1.0
        progress.advance(10)
    return [record.getMessage() for record in caplog.records]


def test_it_tells_rows_rate_and_time_left_at_a_sensible_pace(caplog):
    caplog.set_level("INFO")
    assert lines(caplog, 80_000, 70) == [
        "Creating candidates: 50 of 80,000 rows (0.1%), 10.0 rows a second, 2:13:15 left",
        "Creating candidates: 350 of 80,000 rows (0.4%), 10.0 rows a second, 2:12:45 left",
        "Creating candidates: 650 of 80,000 rows (0.8%), 10.0 rows a second, 2:12:15 left",
    ]


def test_where_the_number_of_rows_is_not_known_it_tells_the_rest(caplog):
    caplog.set_level("INFO")
    assert lines(caplog, None, 5) == ["Creating candidates: 50 rows, 10.0 rows a second"]


@pytest.mark.parametrize("connect", [BlockingDriver, EventLoopDriver])
def test_httpx_names_an_id_as_errors_do(connect: type[BlockingDriver], caplog: pytest.LogCaptureFixture) -> None:
    """A mistake of a DAG's author puts a person's address in the place of an id."""
    service = Service(httpx.Response(200, json={"data": {"id": "c1"}}))
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", logger="httpx")

    connect(service).call("get_candidate", "ana.costa@example.com")
    connect(service).call("get_candidate", "c12345")

    lines = [one.getMessage() for one in caplog.records if one.name == "httpx"]
    assert lines == [
        'HTTP Request: GET /candidates/:id for candidate_id (a text of 21 characters) "HTTP/1.1 200 …"',
        'HTTP Request: GET /candidates/:id for candidate_id c12345 "HTTP/1.1 200 …"',
    ]
    assert "ana" not in caplog.text.casefold()


@pytest.mark.parametrize("connect", [BlockingDriver, EventLoopDriver])
def test_httpx_says_which_page_is_read(connect: type[BlockingDriver], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="httpx")

    connect(Service(httpx.Response(200, json={"data": []}))).call("list_candidates", page=3, status="active")

    lines = [one.getMessage() for one in caplog.records if one.name == "httpx"]
    assert lines == ['HTTP Request: GET /candidates?page=3&limit=100&status=active "HTTP/1.1 200 …"']


def test_httpx_of_others_logs_what_it_did(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="httpx")

    with httpx.Client(transport=httpx.MockTransport(lambda _request: httpx.Response(200))) as client:
        client.get("https://example.com/ana")

    assert "https://example.com/ana" in caplog.text
