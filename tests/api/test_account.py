"""An account is one however its address is written, and nothing unusable or unsafe gets through."""

from __future__ import annotations

import ssl

import pytest

from pihupulse_provider.api import Account, ConfigurationError

SAME = [
    "https://api.pihupulse.com/v1",
    "https://api.pihupulse.com/v1/",
    " https://api.pihupulse.com ",
    "HTTPS://API.PihuPulse.com:443/v1",
    "api.pihupulse.com",
    "api.pihupulse.com/v1",
]


@pytest.mark.parametrize("address", SAME)
def test_one_account_however_its_address_is_written(address: str) -> None:
    account = Account("key", address)

    assert account.base_url == "https://api.pihupulse.com/v1"
    assert account.key == Account("key").key


def test_another_key_or_host_is_another_account() -> None:
    keys = {Account("key").key, Account("other").key, Account("key", "eu.pihupulse.com").key}

    assert len(keys) == 3
    assert not [key for key in keys if "other" in key]


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:9000/v1",
        "http://localhost:9000/v1",
        "http://[::1]:9000/v1",
        "http://[::ffff:127.0.0.1]:9000/v1",
        "https://[2001:db8::1]/api/v1",
    ],
)
def test_plain_http_may_reach_this_machine(address: str) -> None:
    assert Account("key", address).base_url == address


def test_plain_http_goes_no_further_unless_allowed() -> None:
    with pytest.raises(ConfigurationError, match="allow_http"):
        Account("key", "http://api.internal/v1")

    assert Account("key", "http://api.internal/v1", allow_http=True).base_url == "http://api.internal/v1"


@pytest.mark.parametrize(
    "address",
    [
        "ftp://api.pihupulse.com",
        "https://",
        "https://my host/v1",
        "https://api.pihupulse.com:port/v1",
        "https://api.pihupulse.com:99999/v1",
        "https://user:hunter2@api.pihupulse.com/v1",
        "https://user:hunter2",
        "https://api.pihupulse.com/v1?key=hunter2",
        "https://api.pihupulse.com/v1#hunter2",
        "https://[::1/v1",
        "https://a..example",
        f"https://{'a' * 64}.example",
    ],
)
def test_unusable_address_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(ConfigurationError, match="host") as caught:
        Account("key", address)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["", " ", "two words", "line\nbreak", "nul\0", "schl\u00fcssel", "del\x7f"])
def test_unusable_key_is_refused_without_repeating_it(key: str) -> None:
    """What httpx can't put into a header, it repeats in its error."""
    with pytest.raises(ConfigurationError, match="API key") as caught:
        Account(key)

    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    "proxy", ["proxy.internal:3128", "socks5://u:hunter2@proxy", "http://u:hunter2@a b", "http://"]
)
def test_unusable_proxy_is_refused_without_repeating_it(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="proxy") as caught:
        Account("key", proxy=proxy)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_unusable_timeout_is_refused(timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        Account("key", timeout=timeout)


def test_unusable_certificates_are_refused(tmp_path: object) -> None:
    with pytest.raises(ConfigurationError, match="no-such-file"):
        Account("key", verify=f"{tmp_path}/no-such-file").ssl_context()


def test_certificates_are_checked_unless_told_otherwise_and_read_once() -> None:
    usual = Account("key").ssl_context()
    assert isinstance(usual, ssl.SSLContext)
    assert usual.verify_mode is ssl.CERT_REQUIRED
    assert usual.check_hostname
    assert Account("another").ssl_context() is usual
    assert Account("key", verify=False).ssl_context() is False


def test_secrets_are_not_shown() -> None:
    shown = repr(Account("hunter2", proxy="http://user:hunter2@proxy:3128"))

    assert "hunter2" not in shown
