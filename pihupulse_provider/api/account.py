"""The account, its address and the way there."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import ssl
from dataclasses import dataclass, field
from functools import cache

import httpx

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.api.rate_limit import Plan

__all__ = ["DEFAULT_BASE_URL", "Account"]

DEFAULT_BASE_URL = "https://api.pihupulse.com/v1"
"""API reference, "Introduction"."""
_LAST_PORT = 65535
DEFAULT_TIMEOUT = 30.0
"""Seconds."""

_EMPTY = "empty: copy it from the dashboard (Settings → API)"
# Airflow 3.0 sends it as well where a saved connection is tested in the form.
_MASKED = "masked (***), as Airflow shows it: type the key itself again"


@dataclass(frozen=True)
class Account:
    """An account of PihuPulse and the way to it.

    :param api_key: the bearer key (API reference, "Authentication").
    :param base_url: the API's address; a bare host gets ``https://`` and ``/v1``.
    :param timeout: seconds to wait for a connection, and for each part of a response; twice that in all.
    :param verify: whether to check the server's certificate, or the path of a file of certificates to trust.
    :param proxy: the address of an HTTP proxy; None for the environment's. To this machine itself there is none.
    :param plan: the plan's limit; None to learn it from the service.
    :param allow_http: whether plain ``http`` may go further than this machine.
    :param key_place: where the API key is kept and can be changed, as an error says it of a key that is refused.
    :raises ConfigurationError: if the key or the address can't work.
    """

    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    timeout: float = DEFAULT_TIMEOUT
    verify: bool | str = True
    proxy: str | None = field(default=None, repr=False)
    plan: Plan | None = None
    allow_http: bool = False
    key_place: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if is_masked(self.api_key):
            raise ConfigurationError(f"The PihuPulse API key is {_MASKED if self.api_key.strip() else _EMPTY}.")
        if not all("!" <= character <= "~" for character in self.api_key):
            raise ConfigurationError(
                "The PihuPulse API key holds spaces or characters that no key has: copy it again from the dashboard "
                "(Settings → API)."
            )
        if not (self.timeout > 0 and math.isfinite(self.timeout)):
            raise ConfigurationError(f"timeout is {self.timeout}: it must be a positive number of seconds.")
        if self.proxy is not None:
            check_proxy("proxy", self.proxy)
        object.__setattr__(self, "base_url", _base_url(self.base_url, allow_http=self.allow_http))

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
        return _usual_certificates() if self.verify else False


def is_masked(secret: str) -> bool:
    """Return whether a secret is what Airflow shows in its place: asterisks."""
    return not secret.strip().strip("*")


@cache
def _usual_certificates() -> ssl.SSLContext:
    """Return what trusts the usual certificates: reading them takes 40 ms, so a process does it once."""
    return httpx.create_ssl_context()


def _base_url(text: str, *, allow_http: bool) -> str:
    """Return the one way to write an address, so that one account has one limit."""
    scheme, _, rest = text.strip().rpartition("://")
    url = _parse(f"{scheme.lower() or 'https'}://{rest.rstrip('/')}")
    if url is None or url.scheme not in ("http", "https") or url.userinfo or url.query or url.fragment:
        raise ConfigurationError(
            "The host must be a bare name or an https:// address without user, query or fragment, "
            f"such as {DEFAULT_BASE_URL}."
        )
    if url.scheme == "http" and not allow_http and not is_loopback(url.host):
        raise ConfigurationError(
            f"The host {url.host!r} would get the API key over plain http. Use https, or set the extra "
            '"allow_http": true if the way there is safe.'
        )
    return str(url if url.path.strip("/") else url.copy_with(path="/v1"))


def check_proxy(what: str, text: str) -> None:
    """Check the address of a proxy. :raises ConfigurationError: without it, since it may hold a password."""
    url = _parse(text)
    if url is None or url.scheme not in ("http", "https"):
        raise ConfigurationError(f"{what} must be the address of an HTTP proxy, such as http://proxy.internal:3128.")


def _parse(text: str) -> httpx.URL | None:
    """Return the address, or None if it is none: what can't be read may hold a password, and is not repeated."""
    try:
        url = httpx.URL(text)
        url.host.encode("idna")  # as looking it up does
    except (httpx.InvalidURL, UnicodeError):
        return None
    is_usable = url.host and (url.port or 0) <= _LAST_PORT and not any(character.isspace() for character in text)
    return url if is_usable else None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself."""
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback  # Python below 3.13 does not look within
