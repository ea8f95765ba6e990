"""One answer of the service, and what its headers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pihupulse_provider.api.rate_limit import Seen

_LARGEST = 1e11
"""Numbers beyond it are no seconds since 1970: such a header counts as absent."""


@dataclass(frozen=True)
class Response:
    """What came back for one request; header names are lower case, times are epoch seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    sent_at: float
    received_at: float

    @property
    def served_at(self) -> datetime | None:
        """Return the server's own time (its ``Date`` header); None when it did not say."""
        return _moment(self.headers.get("date"))

    @property
    def retry_after(self) -> float | None:
        """Return the seconds that ``Retry-After`` asks to wait, told as a number or as a date."""
        text = self.headers.get("retry-after")
        until = _moment(text)
        return _number(text) if until is None else max(0.0, until.timestamp() - self._server_now())

    def limits(self, backoff: float) -> Seen:
        """Return what the answer says about the rate limit (API reference, "Rate Limiting")."""
        limit = _number(self.headers.get("x-ratelimit-limit"))
        remaining = _number(self.headers.get("x-ratelimit-remaining"))
        reset = _number(self.headers.get("x-ratelimit-reset"))
        return Seen(
            sent_at=self.sent_at,
            received_at=self.received_at,
            limited=self.status == 429,
            retry_after=self.retry_after,
            limit=limit if limit is not None and limit >= 1 else None,
            remaining=int(remaining) if remaining is not None else None,
            resets_in=max(0.0, reset - self._server_now()) if reset is not None else None,
            backoff=backoff,
        )

    def seconds_to_wait(self) -> float | None:
        """Return after how many seconds the service says it may be asked again; None when it does not."""
        if self.status != 429 or self.retry_after is not None:
            return self.retry_after
        return self.limits(backoff=1.0).resets_in

    def _server_now(self) -> float:
        return self.served_at.timestamp() if self.served_at else self.received_at


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < _LARGEST else None


def _moment(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC) if moment else None
