"""Whom we talk to, and how."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.api.rate_limit import Plan

DEFAULT_BASE_URL = "https://api.pihupulse.com/v1"
"""API reference, "Introduction"."""
DEFAULT_TIMEOUT = 30.0


@dataclass(frozen=True)
class Account:
    """An account of PihuPulse and the way to it.

    :param api_key: the bearer key (API reference, "Authentication").
    :param base_url: the API's address; a bare host gets ``https://`` and ``/v1``.
    :param timeout: seconds to wait for a connection, and for each part of an answer.
    :param verify: whether to check the server's certificate, or the path of a file of certificates to trust.
    :param proxy: the address of an HTTP proxy.
    :param plan: the plan's limit; None to learn it from the service.
    :param allow_http: whether plain ``http`` may go further than this machine.
    :raises ConfigurationError: if the key or the address can't work.
    """

    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    timeout: float = DEFAULT_TIMEOUT
    verify: bool | str = True
    proxy: str | None = field(default=None, repr=False)
    plan: Plan | None = None
    allow_http: bool = False

    def __post_init__(self) -> None:
        if not self.api_key or not self.api_key.isascii() or any(c.isspace() for c in self.api_key):
            raise ConfigurationError(
                "The PihuPulse API key is empty or holds blanks. Generate one in the dashboard under Settings → API."
            )
        object.__setattr__(self, "base_url", _base_url(self.base_url, allow_http=self.allow_http))
        if not self.timeout > 0:
            raise ConfigurationError(f"timeout is {self.timeout}: it must be a positive number of seconds.")

    @property
    def key(self) -> str:
        """Return what identifies the account without telling its API key: 32 hexadecimal digits."""
        return hashlib.sha256(f"{self.base_url}\n{self.api_key}".encode()).hexdigest()[:32]

    def ssl_context(self) -> ssl.SSLContext | bool:
        """Return how to check the server's certificate, as httpx takes it."""
        if isinstance(self.verify, str):
            try:
                return ssl.create_default_context(cafile=self.verify)
            except (OSError, ssl.SSLError) as error:
                raise ConfigurationError(
                    f"verify names the file {self.verify!r}, which holds no certificates that can be read: {error}."
                ) from error
        return self.verify


def _base_url(text: str, *, allow_http: bool) -> str:
    text = text.strip().rstrip("/")
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"The host {text!r} is not an address: {error}.") from error
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise ConfigurationError(
            "The host must be a bare name or an https:// address without user, query or fragment, "
            f"such as {DEFAULT_BASE_URL}."
        )
    if parts.scheme == "http" and not allow_http and not _is_loopback(host):
        raise ConfigurationError(
            f"The host {host!r} would get the API key over plain http. Use https, or set the extra "
            '"allow_http": true if the way there is safe.'
        )
    return text if parts.path else f"{text}/v1"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
