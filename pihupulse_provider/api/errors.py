"""What can go wrong between us and PihuPulse, as a tree of types.

    PihuPulseError
    ├── ConfigurationError          the connection or an argument is invalid
    ├── ClientClosedError           the client was closed before: nothing was sent
    ├── TransportError              no whole response came
    │   ├── NotSentError            the request surely never reached the service
    │   └── NoAnswerError           it may have been carried out (timeout, dropped connection)
    ├── ResponseError               a success whose body is not what the reference describes
    ├── IncompleteReadError         a list that can't be read whole
    ├── StatusError                 the service responded with an error status
    │   ├── BadRequestError         400
    │   ├── UnauthorizedError       401
    │   ├── ForbiddenError          403
    │   ├── NotFoundError           404
    │   ├── RateLimitedError        429
    │   ├── ClientError             any other 3xx or 4xx
    │   └── ServerError             5xx, 408, 425
    └── CreateError
        ├── UnconfirmedCreateError  sent, never confirmed, and not found afterwards
        └── DuplicateCreateError    the look-up found more than one

The class follows the HTTP status alone: the reference's sample 404 carries the code ``invalid_request``
(API reference, "Error Handling"). Each class says itself what follows from it: whether a retry can help
(:attr:`PihuPulseError.permanent`) and whether the request may have been carried out
(:attr:`PihuPulseError.may_have_happened`). No message holds any text that the service sent: it may be personal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

__all__ = [
    "BadRequestError",
    "ClientClosedError",
    "ClientError",
    "ConfigurationError",
    "CreateError",
    "DuplicateCreateError",
    "ForbiddenError",
    "IncompleteReadError",
    "NoAnswerError",
    "NotFoundError",
    "NotSentError",
    "PihuPulseError",
    "RateLimitedError",
    "ResponseError",
    "ServerError",
    "StatusError",
    "TransportError",
    "UnauthorizedError",
    "UnconfirmedCreateError",
]

ChoiceT = TypeVar("ChoiceT", bound=str)


class PihuPulseError(Exception):
    """Anything this package raises on its own account.

    :cvar permanent: whether trying again, later and unchanged, ends the same way.
    :cvar may_have_happened: whether the request may have been carried out in spite of the error.
    """

    permanent: ClassVar[bool] = False
    may_have_happened: ClassVar[bool] = False

    @property
    def is_refusal(self) -> bool:
        """Return whether the service refused what this one request holds, so that another may well succeed."""
        return False

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep attributes and message when the error crosses from one process to another."""
        return _restore, (type(self), self.args, self.__dict__)


class ConfigurationError(PihuPulseError, ValueError):
    """A connection, a setting or an argument that can't work; the message says which, where and what to do."""

    permanent = True


def check_choice(argument: str, value: str, choices: Iterable[ChoiceT]) -> ChoiceT:
    """Return the value of an argument if it is one of a few. :raises ConfigurationError: saying which there are."""
    known = tuple(choices)
    if value not in known:
        raise ConfigurationError(f"{argument} is {value!r}: choose one of {', '.join(known)}.")
    return known[known.index(value)]


class ClientClosedError(PihuPulseError):
    """A client was used after it was closed: nothing was sent."""

    permanent = True


class TransportError(PihuPulseError):
    """No whole response came back."""


class NotSentError(TransportError):
    """The request surely never reached PihuPulse (refused connection, unknown host): safe to repeat."""


class NoAnswerError(TransportError):
    """The request went out and no whole response came: what it asked for may or may not have happened."""

    may_have_happened = True


class ResponseError(PihuPulseError):
    """A success status whose body could not be understood.

    :ivar status: the HTTP status.
    """

    may_have_happened = True

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class IncompleteReadError(PihuPulseError):
    """A list can't be read whole: it changes too fast, or gives the same pages again and again."""


class StatusError(PihuPulseError):
    """PihuPulse responded with an error status (API reference, "Error Handling").

    :ivar status: the HTTP status.
    :ivar code: the error code, such as ``invalid_request``; None when the body was not the documented envelope.
    :ivar service_message: what the service says in words; None when it says nothing.
    :ivar details: the error's details. Like the words, they can hold personal data, and are in no message of ours.
    :ivar retry_after: seconds after which the service says it may be asked again; None when it does not.
    :ivar asked_for: the ids that the request named, such as ``candidate_id c12345``; None when it named none.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        service_message: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        asked_for: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.service_message = service_message
        self.details = dict(details or {})
        self.retry_after = retry_after
        self.asked_for = asked_for


class BadRequestError(StatusError):
    """400: malformed, or a required field is missing."""

    permanent = True

    @property
    def is_refusal(self) -> bool:
        """Return True: another request may be well-formed."""
        return True


class UnauthorizedError(StatusError):
    """401: the API key is missing or wrong."""

    permanent = True


class ForbiddenError(StatusError):
    """403: the API key may not do this."""

    permanent = True


class NotFoundError(StatusError):
    """404: there is no such thing."""

    permanent = True

    @property
    def is_refusal(self) -> bool:
        """Return whether the request named something that can be missing; else the address is wrong."""
        return self.asked_for is not None


class RateLimitedError(StatusError):
    """429: more requests than the plan allows."""


class ClientError(StatusError):
    """Any other 3xx or 4xx."""

    permanent = True

    @property
    def is_refusal(self) -> bool:
        """Return whether it is a 4xx: whoever redirects one request redirects them all."""
        return self.status >= 400


class ServerError(StatusError):
    """5xx, or a 408 or 425 of something on the way: the fault is not the request's, and may pass."""

    may_have_happened = True


class CreateError(PihuPulseError):
    """A create whose effect could not be resolved."""


class UnconfirmedCreateError(CreateError):
    """A create was sent, no response came, and it does not show yet: whether it happened is not known."""

    may_have_happened = True


class DuplicateCreateError(CreateError):
    """The look-up after a lost response found more than one match.

    :ivar ids: the ids that were found.
    """

    permanent = True
    may_have_happened = True

    def __init__(self, message: str, *, ids: Sequence[str]) -> None:
        super().__init__(message)
        self.ids = list(ids)


def _restore(kind: type[PihuPulseError], args: tuple[Any, ...], attributes: dict[str, Any]) -> PihuPulseError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


_BY_STATUS: Mapping[int, type[StatusError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    408: ServerError,
    425: ServerError,
    429: RateLimitedError,
}


def status_error_class(status: int) -> type[StatusError]:
    """Return the class that stands for an HTTP error status."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServerError if status >= 500 else ClientError


def kind_of(value: object) -> str:
    """Return what a value is that is of the wrong kind, as a message says it, and nothing of the value."""
    return "None, as from a task that returned nothing" if value is None else f"a {type(value).__name__}"
