"""What follows from an error is said by its class."""

from __future__ import annotations

import pytest

from pihupulse_provider.api import (
    BadRequestError,
    ClientClosedError,
    ClientError,
    ConfigurationError,
    CreateError,
    DuplicateCreateError,
    ForbiddenError,
    NoAnswerError,
    NotFoundError,
    NotSentError,
    PihuPulseError,
    RateLimitedError,
    ResponseError,
    ServerError,
    UnauthorizedError,
    UnconfirmedCreateError,
)
from pihupulse_provider.api.errors import status_error_class


@pytest.mark.parametrize(
    ("kind", "permanent", "may_have_happened"),
    [
        (ConfigurationError, True, False),
        (ClientClosedError, True, False),
        (NotSentError, False, False),
        (NoAnswerError, False, True),
        (ResponseError, False, True),
        (BadRequestError, True, False),
        (UnauthorizedError, True, False),
        (ForbiddenError, True, False),
        (NotFoundError, True, False),
        (ClientError, True, False),
        (RateLimitedError, False, False),
        (ServerError, False, True),
        (CreateError, False, False),
        (UnconfirmedCreateError, False, True),
        (DuplicateCreateError, True, True),
    ],
)
def test_a_class_says_whether_a_retry_helps_and_whether_it_may_have_happened(
    kind: type[PihuPulseError], permanent: bool, may_have_happened: bool
) -> None:
    assert (kind.permanent, kind.may_have_happened) == (permanent, may_have_happened)


@pytest.mark.parametrize(
    ("status", "asked_for", "refused"),
    [
        (301, None, False),
        (400, None, True),
        (401, None, False),
        (403, None, False),
        (404, "candidate_id c1", True),
        (404, None, False),
        (422, None, True),
        (429, None, False),
        (500, None, False),
    ],
)
def test_a_refusal_concerns_one_request_and_no_other(status: int, asked_for: str | None, refused: bool) -> None:
    error = status_error_class(status)("no", status=status, asked_for=asked_for)

    assert error.is_refusal is refused


@pytest.mark.parametrize("status", [408, 425])
def test_what_something_on_the_way_gave_up_may_pass(status: int) -> None:
    assert status_error_class(status) is ServerError
