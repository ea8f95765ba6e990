"""What is sent again, when, and what never is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import httpx
import pytest

from pihupulse_provider.api import (
    Account,
    AsyncClient,
    MemoryRateLimit,
    NewCandidate,
    NewScreening,
    NoAnswerError,
    NotSentError,
    PihuPulseError,
    RateLimitedError,
    RetryPolicy,
    ServerError,
)
from pihupulse_provider.api.endpoints import list_templates
from tests.api import reference
from tests.api.drivers import Driver, Reply, Service

GOOD = httpx.Response(200, json=reference.LIST_TEMPLATES)
CREATED = httpx.Response(201, json=reference.CREATE_CANDIDATE)
JANE = NewCandidate(name="Jane Smith", email="jane.smith@example.com")
REFUSED = httpx.ConnectError("[Errno 111] Connection refused")
AMBIGUOUS = {
    "timeout": httpx.ReadTimeout("timed out"),
    "dropped": httpx.RemoteProtocolError("Server disconnected without sending a response."),
    "500": httpx.Response(500, json=reference.ERROR),
    "html": httpx.Response(502, text="<html>"),
    "half": httpx.Response(200, text='{"data": {"id": "c1'),
}
CLEAR = {"refused": REFUSED, "429": httpx.Response(429, json=reference.ERROR)}


@pytest.mark.parametrize("fault", {**AMBIGUOUS, **CLEAR})
def test_get_is_repeated_after_every_fault_that_may_pass(connect: Callable[..., Driver], fault: str) -> None:
    reply = {**AMBIGUOUS, **CLEAR}[fault]
    service = Service(reply, reply, GOOD)

    assert len(connect(service).call("list_templates")) == 2
    assert len(service.requests) == 3


@pytest.mark.parametrize("fault", AMBIGUOUS)
@pytest.mark.parametrize("method", ["create_candidate", "create_screening"])
def test_post_is_never_repeated_when_it_may_have_happened(
    connect: Callable[..., Driver], fault: str, method: str
) -> None:
    body = JANE if method == "create_candidate" else NewScreening(candidate_id="c1", template_id="t1")
    service = Service(AMBIGUOUS[fault], CREATED)

    with pytest.raises(PihuPulseError):
        connect(service).call(method, body)

    assert len(service.requests) == 1


@pytest.mark.parametrize("fault", CLEAR)
def test_post_is_repeated_when_it_surely_did_not_happen(connect: Callable[..., Driver], fault: str) -> None:
    service = Service(CLEAR[fault], CREATED)

    assert connect(service).call("create_candidate", JANE).id == "c12347"
    assert len(service.requests) == 2


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 422])
def test_refusal_is_final(connect: Callable[..., Driver], status: int) -> None:
    service = Service(httpx.Response(status, json=reference.ERROR), GOOD)

    with pytest.raises(PihuPulseError):
        connect(service).call("list_templates")

    assert len(service.requests) == 1


ENDLESS = [(REFUSED, NotSentError), (AMBIGUOUS["timeout"], NoAnswerError), (AMBIGUOUS["500"], ServerError)]


@pytest.mark.parametrize(("reply", "kind"), ENDLESS)
def test_it_ends_after_a_minute(connect: Callable[..., Driver], reply: Reply, kind: type[PihuPulseError]) -> None:
    driver = connect(Service(reply))

    with pytest.raises(kind):
        driver.call("list_templates")

    assert driver.clock.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0, 10.0]


@pytest.mark.parametrize(("reply", "kind"), ENDLESS)
def test_it_ends_after_as_many_attempts_as_are_asked_for(
    connect: Callable[..., Driver], reply: Reply, kind: type[PihuPulseError]
) -> None:
    service = Service(reply)

    with pytest.raises(kind):
        connect(service, retry=RetryPolicy(attempts=2)).call("list_templates")

    assert len(service.requests) == 2


def test_five_attempts_are_made_however_long_each_takes(connect: Callable[..., Driver]) -> None:
    def slow(_request: httpx.Request) -> httpx.Response:
        driver.clock.now += 60.0
        raise AMBIGUOUS["timeout"]

    service = Service(slow)
    driver = connect(service)

    with pytest.raises(NoAnswerError):
        driver.call("list_templates")

    assert len(service.requests) == 5


def test_a_poll_ends_after_five_attempts_since_it_comes_again(connect: Callable[..., Driver]) -> None:
    service = Service(REFUSED)

    with pytest.raises(NotSentError):
        connect(service).call("run", list_templates(), poll=True)

    assert len(service.requests) == 5


def test_the_log_tells_once_of_an_outage_and_once_of_its_end(
    connect: Callable[..., Driver], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pihupulse_provider.api.retry")

    connect(Service(*[REFUSED] * 6, GOOD)).call("list_templates")

    lines = [record.getMessage() for record in caplog.records if record.name == "pihupulse_provider.api.retry"]
    assert len(lines) == 2
    assert "could not be sent" in lines[0]
    assert lines[1] == "PihuPulse responds again."


def test_429_without_any_header_backs_off_exponentially(connect: Callable[..., Driver]) -> None:
    limited = httpx.Response(429)
    driver = connect(Service(limited, limited, limited, GOOD))

    driver.call("list_templates")

    assert driver.clock.slept == pytest.approx([1.0, 2.0, 4.0])


def test_429_waits_as_retry_after_says(connect: Callable[..., Driver]) -> None:
    driver = connect(Service(httpx.Response(429, headers={"Retry-After": "7"}), GOOD))

    driver.call("list_templates")

    assert driver.clock.slept == pytest.approx([7.0])


def test_429_waits_for_the_reset_by_the_servers_clock(connect: Callable[..., Driver]) -> None:
    """This machine's clock is years ahead of the server's."""
    headers = {
        "Date": "Mon, 03 May 2021 00:00:00 GMT",
        "X-RateLimit-Limit": "100",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1620000025",
    }
    driver = connect(Service(httpx.Response(429, headers=headers), GOOD))

    driver.call("list_templates")

    assert sum(driver.clock.slept) == pytest.approx(25.0)


def test_429_without_end_is_an_error(connect: Callable[..., Driver]) -> None:
    service = Service(httpx.Response(429, headers={"Retry-After": "1"}))

    with pytest.raises(RateLimitedError) as caught:
        connect(service, retry=RetryPolicy(limited_attempts=3)).call("list_templates")

    assert caught.value.retry_after == 1.0
    assert len(service.requests) == 4


def test_no_pause_is_longer_than_five_minutes(connect: Callable[..., Driver]) -> None:
    driver = connect(Service(httpx.Response(429, headers={"Retry-After": "99999999"}), GOOD))

    driver.call("list_templates")

    assert sum(driver.clock.slept) == pytest.approx(300.0)


def test_503_waits_as_retry_after_says(connect: Callable[..., Driver]) -> None:
    driver = connect(Service(httpx.Response(503, headers={"Retry-After": "45"}), GOOD))

    driver.call("list_templates")

    assert driver.clock.slept == [45.0]


def test_waits_are_spread(connect: Callable[..., Driver]) -> None:
    driver = connect(Service(REFUSED, GOOD), retry=RetryPolicy(random=lambda: 0.0))

    driver.call("list_templates")

    assert driver.clock.slept == [0.25]


async def test_cancelled_request_leaves_the_client_usable() -> None:
    hangs = asyncio.Event()

    async def answer(_request: httpx.Request) -> httpx.Response:
        if not hangs.is_set():
            hangs.set()
            await asyncio.Event().wait()
        return GOOD

    limit = MemoryRateLimit()
    async with AsyncClient(Account("key"), limit=limit, transport=httpx.MockTransport(answer)) as client:
        task = asyncio.create_task(client.list_templates())
        await hangs.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(await client.list_templates()) == 2
