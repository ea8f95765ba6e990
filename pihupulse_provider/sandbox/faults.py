"""Faults on demand: what goes wrong with which requests, and how often."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from copy import copy
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import ConfigDict, Field, NonNegativeFloat, NonNegativeInt
from pydantic.dataclasses import dataclass

from pihupulse_provider.sandbox.http import ApiError, Request, Response
from pihupulse_provider.sandbox.path_pattern import OPERATIONS, is_documented, pattern_of

Kind = Literal["latency", "error", "html", "rate_limited", "empty", "drop", "truncated", "cut"]

HTML = (
    b"<!DOCTYPE html><html><head><title>%d</title></head>"
    b"<body><h1>The server could not complete your request</h1></body></html>"
)


@dataclass(config=ConfigDict(extra="forbid"))
class Fault:
    """One kind of trouble.

    ``kind``:

    - ``latency``: the response comes ``seconds`` late.
    - ``error``: an error of status ``status`` (500) in the shape of the API.
    - ``html``: a page of HTML with status ``status`` (502), as from a proxy.
    - ``rate_limited``: a 429 without rate-limit headers.
    - ``empty``: a response of status ``status`` (200) without a body.
    - ``drop``: the connection is closed without a response.
    - ``truncated``: the response holds only the first half of its JSON.
    - ``cut``: the connection is closed in the middle of the body.

    ``retry_after`` adds that header to ``error``, ``html`` and ``rate_limited``. ``times`` ends the fault after
    so many requests, ``probability`` (0 to 1) leaves some out, ``method`` and ``path`` (a pattern below ``/v1``,
    such as ``/screenings/*/report``) choose among them. With ``after_commit`` the request has been carried out
    when the fault strikes, so that the client cannot know; ``latency``, ``truncated`` and ``cut`` always strike
    after it. They add to another fault; of several others one strikes at a time, in the order in which they were
    switched on.
    """

    kind: Kind
    times: NonNegativeInt | None = None
    probability: float = Field(default=1.0, ge=0, le=1)
    method: str | None = None
    path: str = "*"
    status: int | None = Field(default=None, ge=200, le=599)
    seconds: NonNegativeFloat = 1.0
    retry_after: str | None = None
    after_commit: bool = False

    def __post_init__(self) -> None:
        self.after_commit = self.after_commit or not self.replaces
        self.method = None if self.method is None else self.method.upper()
        self.path = pattern_of(self.path)
        if not is_documented(self.method, self.path):
            chosen = f"path {self.path!r}" if self.method is None else f"method {self.method} and path {self.path!r}"
            documented = ", ".join(f"{method} {route}" for method, route in OPERATIONS)
            raise ValueError(f"no documented request has the {chosen}: there are {documented}")

    @property
    def replaces(self) -> bool:
        """Whether it takes the place of the response, so that only one such fault can strike."""
        return self.kind not in {"latency", "truncated", "cut"}

    def strikes(self, request: Request, chance: random.Random) -> bool:
        """Tell whether the fault meets this request, and count it."""
        if self.times == 0 or not self._concerns(request) or chance.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def spoil(self, response: Response) -> Response:
        """Return what the client gets in place of ``response``."""
        if self.kind == "latency":
            response.delay += self.seconds
        elif self.kind == "drop":
            response.arrival = "nothing"
        elif self.kind == "truncated":
            response.arrival = "half"
        elif self.kind == "cut":
            response.arrival = "cut"
        else:
            return self._replacement()
        return response

    def _concerns(self, request: Request) -> bool:
        below = request.path.removeprefix("/v1")
        return self.method in {None, request.method} and fnmatchcase(below, self.path)

    def _replacement(self) -> Response:
        headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
        if self.kind == "html":
            status = self.status or 502
            return Response(status, HTML % status, headers, "text/html; charset=utf-8")
        if self.kind == "empty":
            return Response(self.status or 200, b"", headers)
        if self.kind == "rate_limited":
            return ApiError(429, "You've exceeded your rate limit", headers=headers).response()
        return ApiError(self.status or 500, "Something went wrong on our end", headers=headers).response()


class Faults:
    """The faults that are switched on."""

    def __init__(self, initial: Iterable[Fault] = (), seed: int = 1) -> None:
        self.active = [copy(fault) for fault in initial]
        self._chance = random.Random(seed)

    def around(self, request: Request, serve: Callable[[Request], Response]) -> Response:
        """Serve the request with whatever goes wrong."""
        if not self.active:
            return serve(request)
        striking = self._striking(request)
        self.active = [fault for fault in self.active if fault.times != 0]
        is_refused = any(not fault.after_commit for fault in striking)
        response = Response(0) if is_refused else serve(request)
        for fault in striking:
            response = fault.spoil(response)
        return response

    def _striking(self, request: Request) -> list[Fault]:
        """Return the faults that meet the request, at most one of those that replace the response, and that first."""
        replacing = next((one for one in self.active if one.replaces and one.strikes(request, self._chance)), None)
        adding = [one for one in self.active if not one.replaces and one.strikes(request, self._chance)]
        return adding if replacing is None else [replacing, *adding]
