"""A connection means the same however it was made, and says what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from pihupulse_provider import connection_form
from pihupulse_provider.api import DEFAULT_BASE_URL, PLANS, Account, ConfigurationError, Plan
from pihupulse_provider.api.account import DEFAULT_TIMEOUT
from pihupulse_provider.hooks.connection import Extras
from pihupulse_provider.hooks.pihupulse import PihuPulseHook

EXTRA: dict[str, Any] = {
    "plan": "starter",
    "requests_per_minute": 60,
    "timeout": 5,
    "webhook_secret": "It's a Secret to Everybody",
}
ACCOUNT = Account("k:y/%", "http://127.0.0.1:9000/v1", timeout=5, plan=Plan(60, 150))
EXTRA_TEXT = json.dumps(EXTRA)
QUERY = "plan=starter&requests_per_minute=60&timeout=5&webhook_secret=It%27s%20a%20Secret%20to%20Everybody"
KEY = "k%3Ay%2F%25"

AS_OBJECT: dict[str, dict[str, Any]] = {
    "form, address whole": {"host": "http://127.0.0.1:9000/v1", "port": None, "extra": EXTRA_TEXT},
    "form, port of its Test button": {
        "host": "http://127.0.0.1:9000/v1/",
        "port": 0,
        "schema": "",
        "extra": EXTRA_TEXT,
    },
    "form, blanks for what is left out": {
        "host": " http://127.0.0.1:9000/v1 ",
        "extra": json.dumps(
            {
                "plan": "Starter",
                "requests_per_minute": "60",
                "burst": "",
                "timeout": 5.0,
                "webhook_secret": "It's a Secret to Everybody",
                "verify": "",
                "proxy": "  ",
                "allow_http": None,
            }
        ),
    },
    "form, port apart": {"host": "http://127.0.0.1", "port": 9000, "schema": "v1", "extra": EXTRA_TEXT},
    "form, port apart and in the address": {"host": "http://127.0.0.1:9000/v1", "port": 9000, "extra": EXTRA_TEXT},
    "form, scheme as schema": {"host": "127.0.0.1", "port": 9000, "schema": "http", "extra": EXTRA_TEXT},
}
AS_TEXT = {
    "URI with a protocol": f"pihupulse://http://:{KEY}@127.0.0.1:9000/v1?{QUERY}",
    "URI with the address in its host": f"pihupulse://:{KEY}@http%3A%2F%2F127.0.0.1%3A9000%2Fv1/?{QUERY}",
    "URI with the scheme as schema": f"pihupulse://:{KEY}@127.0.0.1:9000/http?{QUERY}",
    "JSON": json.dumps(
        {"conn_type": "pihupulse", "password": "k:y/%", "host": "http://127.0.0.1:9000/v1", "extra": EXTRA}
    ),
    "JSON with everything as text": json.dumps(
        {
            "conn_type": "pihupulse",
            "password": " k:y/% ",
            "host": "http://127.0.0.1",
            "port": "9000",
            "schema": "/v1",
            "extra": EXTRA_TEXT,
        }
    ),
}


class Hook(PihuPulseHook):
    """A hook of one connection, however it was made."""

    connection: Connection

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        assert conn_id == cls.default_conn_name
        return cls.connection


@pytest.mark.parametrize("fields", AS_OBJECT.values(), ids=AS_OBJECT)
def test_form(fields: dict[str, Any]) -> None:
    Hook.connection = Connection(conn_id="c", conn_type="pihupulse", password="k:y/%", **fields)
    hook = Hook()

    assert hook.account == ACCOUNT
    assert hook.webhook_secrets == ["It's a Secret to Everybody"]


@pytest.mark.parametrize("text", AS_TEXT.values(), ids=AS_TEXT)
def test_environment_variable(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", text)
    hook = PihuPulseHook()

    assert hook.account == ACCOUNT
    assert hook.webhook_secrets == ["It's a Secret to Everybody"]


async def test_it_is_the_same_in_an_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", AS_TEXT["JSON"])

    assert await PihuPulseHook().get_async_account() == ACCOUNT


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("pihupulse://:key@", "https://api.pihupulse.com/v1"),
        ("pihupulse://:key@api.pihupulse.com", "https://api.pihupulse.com/v1"),
        ("pihupulse://:key@api.pihupulse.com/v1", "https://api.pihupulse.com/v1"),
        ("pihupulse://:key@api.pihupulse.com:443/v1", "https://api.pihupulse.com/v1"),
        ("pihupulse://:key@api.pihupulse.com/https", "https://api.pihupulse.com/v1"),
        ("pihupulse://https://:key@eu.pihupulse.com:8443/api/v2", "https://eu.pihupulse.com:8443/api/v2"),
        ("pihupulse://http://:key@[::1]:9000/v1", "http://[::1]:9000/v1"),
        ("pihupulse://http://:key@api.internal/v1?allow_http=true", "http://api.internal/v1"),
    ],
)
def test_address_of_a_uri(text: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", text)

    assert PihuPulseHook().account.base_url == address


@pytest.mark.parametrize(
    ("extra", "verify"),
    [({}, True), ({"verify": "false"}, False), ({"verify": False}, False), ({"verify": "1"}, True)],
)
def test_certificates_are_checked_unless_told_otherwise(extra: dict[str, Any], verify: bool) -> None:
    Hook.connection = Connection(conn_id="c", conn_type="pihupulse", password="key", extra=json.dumps(extra))

    assert Hook().account.verify is verify


@pytest.mark.parametrize(
    ("extra", "plan"),
    [
        ({}, None),
        ({"plan": "enterprise"}, Plan(1000, 1500)),
        ({"requests_per_minute": 50}, Plan(50, 50)),
        ({"requests_per_minute": 50, "burst": 5}, Plan(50, 5)),
        ({"plan": "starter", "burst": 1}, Plan(100, 1)),
        ({"plan": "starter", "requests_per_minute": 50}, Plan(50, 150)),
    ],
)
def test_plan_and_numbers_make_the_limit(extra: dict[str, Any], plan: Plan | None) -> None:
    assert Extras(**extra).limit() == plan


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"plan": "gold"}, "plan"),
        ({"requests_per_minute": "many"}, "requests_per_minute"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"requests_per_minute": "inf"}, "requests_per_minute"),
        ({"burst": 10}, "burst needs requests_per_minute or plan"),
        ({"timeout": -1}, "timeout"),
        (
            {"webhook_secrets": "hunter2"},
            "webhook_secrets.*The extras that there are: webhook_secret, previous_webhook",
        ),
        ({"webhook_secret": "hunter2"}, "webhook_secret: is shorter than 8 characters"),
        ({"webhook_secret": "   "}, r"webhook_secret: is blank or masked \(\*\*\*\)"),
        ({"webhook_secret": "\u200b" * 12}, "webhook_secret: is blank"),
        ({"webhook_secret": "\u3164\ufe0f\u2800 " * 3}, "webhook_secret: is blank"),
        ({"webhook_secret": "hunter2\u200b\u200b"}, "webhook_secret: is shorter than 8 characters"),
        ({"webhook_secret": "hunter2 hunter2\ud83d"}, "webhook_secret"),
        ({"webhook_secret": ["hunter2 hunter2", "***"]}, "webhook_secret: is blank or masked"),
        ({"previous_webhook_secret": "********"}, "previous_webhook_secret: is blank or masked"),
        ({"webhook_secret": {"a": "hunter2"}}, "webhook_secret"),
        ({"proxy": "hunter2@proxy"}, "proxy"),
        ({"allow_http": "perhaps"}, "allow_http"),
    ],
)
def test_unusable_extra_is_named_and_not_repeated(extra: dict[str, Any], named: str) -> None:
    Hook.connection = Connection(conn_id="mine", conn_type="pihupulse", password="key", extra=json.dumps(extra))

    with pytest.raises(ConfigurationError, match=named) as caught:
        _ = Hook().account

    assert "'mine'" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_masked_key_is_told_from_a_wrong_one() -> None:
    """Airflow 3.0 sends it where a saved connection is tested in the form."""
    Hook.connection = Connection(conn_id="mine", conn_type="pihupulse", password="***")

    works, message = Hook().test_connection()
    assert not works
    assert "masked (***)" in message
    assert "type the key itself again" in message


@pytest.mark.parametrize("password", [None, "", "  ", "two words"])
def test_connection_without_a_usable_key_says_where_to_get_one(password: str | None) -> None:
    Hook.connection = Connection(conn_id="mine", conn_type="pihupulse", password=password)

    with pytest.raises(ConfigurationError, match=r"'mine'.*Settings → API"):
        _ = Hook().account


def test_number_as_webhook_secret_is_text() -> None:
    assert Extras.model_validate({"webhook_secret": 12345678}).webhook_secrets() == ["12345678"]


def test_both_secrets_count_while_they_are_rotated() -> None:
    """Each is the whole text, never split."""
    extras = Extras.model_validate({"webhook_secret": "the new secret", "previous_webhook_secret": " the old secret "})

    assert extras.webhook_secrets() == ["the new secret", " the old secret "]


def test_repr_shows_no_secret() -> None:
    secrets = dict.fromkeys(("webhook_secret", "previous_webhook_secret", "proxy"), "http://me:hunter2@proxy")
    extras = Extras.model_validate({**secrets, "plan": "starter"})

    assert "starter" in repr(extras)
    assert "hunter2" not in f"{extras!r} {extras}"


def test_form_has_a_field_for_every_extra_and_knows_the_defaults() -> None:
    """It is written out there, as every process of Airflow imports it."""
    fields = {field.name: field for field in connection_form.FIELDS}

    assert list(fields) == list(Extras.model_fields)
    assert fields["plan"].schema["enum"] == list(PLANS)
    assert f"{DEFAULT_TIMEOUT:.0f} when left empty" in fields["timeout"].description
    assert connection_form.UI_FIELD_BEHAVIOUR["placeholders"]["host"] == DEFAULT_BASE_URL
