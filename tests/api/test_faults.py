"""Whatever comes back, the error is typed, says what happened, and tells nobody's name or key."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable

import httpx
import pytest

from pihupulse_provider.api import (
    BadRequestError,
    ClientError,
    ForbiddenError,
    NewCandidate,
    NewScreening,
    NoAnswerError,
    NotFoundError,
    NotSentError,
    PihuPulseError,
    RateLimitedError,
    ResponseError,
    RetryPolicy,
    ServerError,
    StatusError,
    UnauthorizedError,
)
from tests.api import reference
from tests.api.drivers import KEY, Driver, Reply, Service

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>jane@example.com</body></html>"
HALF = b'{"data": [{"id": "c1", "name": "Jane Smith", "email": "jane.smi'
ONCE = RetryPolicy(attempts=1, limited_attempts=0)
JANE = NewCandidate(name="Jane Smith", email="jane.smith@example.com", phone="+1987654321")


def _fail(connect: Callable[..., Driver], reply: Reply, method: str = "list_candidates", *args: object) -> Exception:
    with pytest.raises(PihuPulseError) as caught:
        connect(Service(reply), retry=ONCE).call(method, *args)
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, ClientError),
        (400, BadRequestError),
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ClientError),
        (429, RateLimitedError),
        (500, ServerError),
        (503, ServerError),
    ],
)
def test_the_status_chooses_the_error(connect: Callable[..., Driver], status: int, kind: type[StatusError]) -> None:
    """The reference's sample 404 carries the code of a 400."""
    error = _fail(connect, httpx.Response(status, json=reference.ERROR))

    assert type(error) is kind
    assert isinstance(error, StatusError)
    assert (error.status, error.code, error.details) == (status, "invalid_request", {"candidate_id": "c12345"})
    assert error.service_message == "The candidate ID is invalid or not found"
    assert f"GET /candidates failed with status {status} invalid_request. " in str(error)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (HTML, f"HTML of {len(HTML)} bytes"),
        (HALF, f"JSON of {len(HALF)} bytes"),
        (b"", "an empty body"),
        (b"\xff\xfe<\0h\0", "something of 6 bytes"),
        (b"caf\xe9 ferm\xe9", "something of 10 bytes"),
        (b"[1, 2]", "JSON of 6 bytes"),
        (b'{"error": "nope"}', "JSON of 17 bytes"),
        (b'{"error": {"message": ["Jane Smith"], "code": 7, "details": "Jane Smith"}}', "JSON of 74 bytes"),
        (b'{"a":' * 100_000, "JSON of 500000 bytes"),
        (b"x" * 1_000_000, "something of 1000000 bytes"),
    ],
)
@pytest.mark.parametrize("status", [200, 502])
def test_body_that_is_not_documented(connect: Callable[..., Driver], status: int, body: bytes, shown: str) -> None:
    error = _fail(connect, httpx.Response(status, content=body))

    assert type(error) is (ResponseError if status == 200 else ServerError)
    assert f"GET /candidates {'got' if status == 200 else 'failed with'} status {status}" in str(error)
    assert status == 502 or shown in str(error) or "does not fit" in str(error)
    assert status == 200 or shown in str(error)


@pytest.mark.parametrize(("status", "named"), [(404, False), (400, False), (301, False), (200, False), (404, True)])
def test_a_wrong_host_is_called_that(connect: Callable[..., Driver], status: int, named: bool) -> None:
    """Whatever is asked for, in the words that the connection test says."""
    call = ("get_candidate", "c1") if named else ("list_templates",)

    assert "This does not look like PihuPulse: check the connection's host." in str(
        _fail(connect, httpx.Response(status, text="<h1>Nothing here</h1>"), *call)
    )


@pytest.mark.parametrize(
    ("method", "argument", "text"),
    [
        (
            "get_candidate",
            "c12345",
            "GET /candidates/:id for candidate_id c12345 failed with status 404 not_found. There is none",
        ),
        (
            "get_report",
            "s9",
            "failed with status 404 not_found. There is no screening with that id, or no report of it before it is",
        ),
        (
            "create_screening",
            NewScreening(candidate_id="c1", template_id="t1"),
            "POST /screenings for candidate_id c1, template_id t1 failed with status 404 not_found. ",
        ),
        ("get_candidate", "jane@example.com", "for candidate_id (a text of 16 characters) failed"),
    ],
)
def test_a_404_names_the_id_that_was_asked_for(
    connect: Callable[..., Driver], method: str, argument: object, text: str
) -> None:
    error = _fail(connect, httpx.Response(404, json={"error": {"code": "not_found"}}), method, argument)

    assert text in str(error)
    assert str(error).endswith(": check it, which account the API key belongs to, and the connection's host.")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"data": [{"name": "Jane Smith"}]}', "data.0.id"),
        (b'{"data": {"id": "c1"}}', "data"),
        (b'{"data": [{"id": "c1", "screenings": [{"id": ["Jane Smith"]}]}]}', "data.0.screenings.0.id"),
        (b'{"data": [{"name": ["Jane"], "phone": []}], "meta": {"total_pages": "many"}}', "does not fit at data.0.id."),
        (reference.GARBLED_CREATE_CANDIDATE.encode(), "not what the reference describes"),
    ],
)
def test_answer_that_does_not_fit_says_where(connect: Callable[..., Driver], body: bytes, where: str) -> None:
    error = _fail(connect, httpx.Response(200, content=body))

    assert type(error) is ResponseError
    assert where in str(error)
    assert "Jane" not in str(error)


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_number_that_json_does_not_have_is_refused(connect: Callable[..., Driver], number: str) -> None:
    """Python would read it, and then write what no other JSON parser takes."""
    body = f'{{"data": {{"id": "c1", "experience_years": {number}}}}}'

    assert type(_fail(connect, httpx.Response(200, text=body), "get_candidate", "c1")) is ResponseError


def test_number_beyond_all_others_counts_as_missing(connect: Callable[..., Driver]) -> None:
    candidate = connect(Service(httpx.Response(200, text='{"data": {"id": "c1", "experience_years": 1e999}}'))).call(
        "get_candidate", "c1"
    )

    assert candidate.document() == {"id": "c1", "experience_years": None}


def test_byte_order_mark_is_no_fault(connect: Callable[..., Driver]) -> None:
    reply = httpx.Response(200, content=b'\xef\xbb\xbf{"data": {"id": "c1"}}')

    assert connect(Service(reply)).call("get_candidate", "c1").id == "c1"


@pytest.mark.parametrize(
    "value",
    [
        "jane.smith@example.com",
        "JANE SMITH",
        "José Müller",  # in NFC; the next in NFD
        "Jose\u0301 Mu\u0308ller",
        "jane.smith%40example.com",
        "jane&#46;smith&#64;example.com",
        "jane.smith\\u0040example.com",
        "Jose Muller",
        "jane.smith",
        "Jane Smi",
        "+1 (987) 654-321",
        "https://storage.pihupulse.com/resumes/c12346.pdf",
    ],
)
@pytest.mark.parametrize("status", [302, 400, 401, 404, 409, 429, 500])
def test_nothing_that_the_service_says_is_in_a_message(
    connect: Callable[..., Driver], caplog: pytest.LogCaptureFixture, status: int, value: str
) -> None:
    """However it spells what was sent. What it says is on the error, for whoever asks."""
    caplog.set_level("DEBUG")
    document = {"error": {"code": value, "message": f"{value} is taken", "details": {value: value}}}

    error = _fail(connect, httpx.Response(status, json=document), "create_candidate", JANE)

    shown = "".join(traceback.format_exception(error)) + str(error) + repr(error) + caplog.text
    assert value not in shown
    assert isinstance(error, StatusError)
    assert (error.service_message, error.details) == (f"{value} is taken", {value: value})


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), NotSentError),
        (httpx.ConnectTimeout("timed out"), NotSentError),
        (httpx.ProxyError("407 Proxy Authentication Required"), NotSentError),
        (httpx.ReadTimeout("timed out"), NoAnswerError),
        (httpx.WriteTimeout("timed out"), NoAnswerError),
        (httpx.ReadError("[Errno 104] Connection reset by peer"), NoAnswerError),
        (httpx.WriteError("[Errno 32] Broken pipe"), NoAnswerError),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), NoAnswerError),
    ],
)
def test_without_an_answer_it_matters_whether_the_request_went_out(
    connect: Callable[..., Driver], fault: httpx.HTTPError, kind: type[PihuPulseError]
) -> None:
    error = _fail(connect, fault)

    assert type(error) is kind
    assert "GET /candidates to https://api.pihupulse.com/v1" in str(error)


@pytest.mark.parametrize(
    "fault",
    [
        httpx.RemoteProtocolError('illegal status line: bytearray(b\'"name": "John Doe"\')'),
        httpx.ReadError("connection lost while Jane Smith (jane.smith@example.com) was created"),
    ],
)
def test_transport_error_repeats_no_bytes_and_nothing_personal(
    connect: Callable[..., Driver], fault: httpx.HTTPError
) -> None:
    text = str(_fail(connect, fault, "create_candidate", JANE))

    assert not [value for value in ("John", "Jane", "jane", KEY) if value in text]


def test_redirect_is_not_followed(connect: Callable[..., Driver]) -> None:
    service = Service(httpx.Response(307, headers={"Location": "https://elsewhere.example/v1/candidates"}))

    with pytest.raises(ClientError, match="Redirects are not followed"):
        connect(service).call("list_candidates")

    assert [request.url.host for request in service.requests] == ["api.pihupulse.com"]


def test_answer_without_end_is_given_up(connect: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pihupulse_provider.api.transport.LONGEST_BODY", 1000)

    error = _fail(connect, httpx.Response(200, content=b"x" * 1001))

    assert type(error) is NoAnswerError
    assert "longer than 1000 bytes" in str(error)


def test_half_a_character_is_refused_before_a_request(connect: Callable[..., Driver]) -> None:
    service = Service(httpx.Response(200))

    with pytest.raises(PihuPulseError, match="POST /candidates was not sent") as caught:
        connect(service).call("create_candidate", NewCandidate(name="Jane \ud800", email="jane@example.com"))

    assert not service.requests
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize("status", [404, 429, 500])
def test_error_survives_the_way_to_another_process(connect: Callable[..., Driver], status: int) -> None:
    error = _fail(connect, httpx.Response(status, json=reference.ERROR, headers={"Retry-After": "3"}))

    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
    assert copy.retry_after == 3.0
