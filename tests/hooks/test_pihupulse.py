"""The hook: one limit and one store for all, sentences for the form, and an event loop that goes on."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from airflow.sdk import Connection

from pihupulse_provider import connection_form
from pihupulse_provider.api import ForbiddenError, NewCandidate, NewScreening, UnauthorizedError
from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.sandbox import Sandbox


@pytest.fixture(autouse=True)
def store_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL", url)
    return url


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(candidates=250) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", running.connection_json)
    yield running
    running.heal()


def _connection(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    document = {"conn_type": "pihupulse", "password": "wrong_key", **fields}
    monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", json.dumps(document))


def test_every_endpoint_has_its_method(sandbox: Sandbox) -> None:
    hook = PihuPulseHook()
    candidate = hook.create_candidate(NewCandidate(name="Jane Smith", email="jane.smith@example.com"))
    template = hook.list_templates()[0]
    screening = hook.create_screening(NewScreening(candidate_id=candidate.id, template_id=template.id))
    sandbox.complete(screening.id, score=80)

    assert hook.get_candidate(candidate.id).email == "jane.smith@example.com"
    assert hook.get_report(screening.id).score == 80
    assert hook.list_candidates(status="active", limit=5).meta.per_page == 5
    assert hook.list_screenings().data[-1].id == screening.id
    assert [one.id for one in hook.iter_screenings()] == [screening.id]
    assert len(list(hook.iter_candidates())) == len(sandbox.candidates)
    # What a hook hands out works also when nobody has the hook any more.
    assert len(list(PihuPulseHook(hook.pihupulse_conn_id).iter_candidates())) == len(sandbox.candidates)


@pytest.mark.parametrize("status", [None, 403])
async def test_a_key_that_is_refused_is_told_with_its_connection_and_without_itself(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, status: int | None
) -> None:
    if status is None:
        _connection(monkeypatch, host=sandbox.base_url)
    else:
        sandbox.fail("error", status=status)
    hook = PihuPulseHook()

    with pytest.raises((UnauthorizedError, ForbiddenError)) as blocking:
        hook.list_templates()
    async with await hook.get_async_conn() as client:
        with pytest.raises((UnauthorizedError, ForbiddenError)) as async_:
            await client.list_templates()

    for caught in (blocking, async_):
        assert "password of the connection 'pihupulse_default': change it under Admin → Connections" in str(
            caught.value
        )
        assert "wrong_key" not in str(caught.value)


def test_candidate_is_found_by_email_in_any_case(sandbox: Sandbox) -> None:
    wanted = sandbox.candidates[220]
    hook = PihuPulseHook()

    found = hook.find_candidate(f" {wanted['email'].upper()} ")

    assert found is not None
    assert found.id == wanted["id"]
    assert hook.find_candidate("nobody@example.com") is None


def test_candidate_is_found_as_mail_systems_compare_addresses(sandbox: Sandbox) -> None:
    hook = PihuPulseHook()
    for email in ("m@strasse.example", "m@xn--strae-oqa.example"):
        hook.create_candidate(NewCandidate(name="M", email=email))

    found = hook.find_candidate("M@stra\u00dfe.example")

    assert found is not None
    assert found.email == "m@xn--strae-oqa.example"


async def test_candidate_is_found_where_an_event_loop_runs(sandbox: Sandbox) -> None:
    found = PihuPulseHook().find_candidate(sandbox.candidates[0]["email"])

    assert found is not None


def test_hooks_of_an_account_share_limit_and_store(sandbox: Sandbox, store_url: str) -> None:
    one, other = PihuPulseHook(), PihuPulseHook()

    assert one.store is other.store
    assert one.get_conn().limit is other.get_conn().limit
    assert repr(one.store) == f"Store('{store_url}')"


def test_hook_goes_on_after_its_client_was_closed(sandbox: Sandbox) -> None:
    hook = PihuPulseHook()

    with hook.get_conn() as client:
        assert hook.get_conn() is client
        client.list_templates()

    assert hook.list_templates()
    assert hook.get_conn() is hook.get_conn()


def test_store_is_in_airflows_home_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AIRFLOW__PIHUPULSE__STORE_URL")
    monkeypatch.setenv("BASE", str(tmp_path.parent))
    monkeypatch.setenv("AIRFLOW_HOME", f"$BASE/{tmp_path.name}")  # as systemd and .env files hand it on

    assert repr(PihuPulseHook().store) == f"Store('sqlite:///{tmp_path}/pihupulse.db')"


def test_good_connection_says_so(sandbox: Sandbox) -> None:
    is_good, sentence = PihuPulseHook().test_connection()

    assert is_good
    assert sentence.startswith(f"Connected to {sandbox.base_url}: ")


def test_wrong_key(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    _connection(monkeypatch, host=sandbox.base_url)

    assert PihuPulseHook().test_connection() == (
        False,
        "PihuPulse does not accept this API key: check it in the dashboard under Settings → API.",
    )


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "https://pihupulse.invalid/v1"])
def test_nobody_there(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _connection(monkeypatch, host=host)

    is_good, sentence = PihuPulseHook().test_connection()

    assert not is_good
    assert sentence.startswith("PihuPulse can't be reached. GET /templates to http")
    assert sentence.endswith("Check the host, the proxy and the network.")
    assert "wrong_key" not in sentence


def test_proxy_of_the_environment_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    _connection(monkeypatch)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "socks5://proxy.internal:1080")

    is_good, sentence = PihuPulseHook().test_connection()

    assert not is_good
    assert sentence.endswith("must be the address of an HTTP proxy, such as http://proxy.internal:3128.")


@pytest.mark.parametrize(
    ("fault", "options", "begins"),
    [
        ("html", {"status": 200}, "GET /templates got status 200"),
        ("html", {"status": 404}, "GET /templates failed with status 404"),
        ("html", {"status": 302}, "GET /templates failed with status 302"),
        ("error", {"status": 503}, "GET /templates failed with status 503. The server has a fault of its own"),
        ("error", {"status": 403}, "PihuPulse knows this API key, but it may not"),
        ("drop", {}, "PihuPulse can't be reached. GET /templates to http"),
    ],
)
def test_strange_answer(sandbox: Sandbox, fault: str, options: dict[str, Any], begins: str) -> None:
    before = sandbox.count()
    sandbox.fail(fault, **options)

    is_good, sentence = PihuPulseHook().test_connection()

    assert not is_good
    assert sentence.startswith(begins)
    assert sandbox.count() == before + 1, "a person waits for it: it is asked once"


def test_used_up_limit_is_a_good_connection(sandbox: Sandbox) -> None:
    sandbox.fail("rate_limited")

    assert PihuPulseHook().test_connection() == (
        True,
        "Connected, but the account's rate limit is used up at the moment.",
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password": ""}, "has no password"),
        ({"host": "ftp://x"}, "https://"),
        ({"extra": {"x": 1}}, "x: there is no such"),
    ],
)
def test_unusable_connection_says_why(fields: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _connection(monkeypatch, **fields)

    is_good, sentence = PihuPulseHook().test_connection()

    assert not is_good
    assert sentence.startswith(("Connection 'pihupulse_default'", "The extras of connection 'pihupulse_default'"))
    assert says in sentence


async def test_event_loop_goes_on_while_the_connection_is_fetched(sandbox: Sandbox) -> None:
    """Were it fetched on the loop, nobody could let it go on."""
    may_go_on = threading.Event()

    class SlowHook(PihuPulseHook):
        @classmethod
        def get_connection(cls, conn_id: str) -> Connection:
            assert may_go_on.wait(timeout=10)
            connection: Connection = super().get_connection(conn_id)
            return connection

    connecting = asyncio.create_task(SlowHook().get_async_conn())
    await asyncio.sleep(0)
    may_go_on.set()

    async with await connecting as client:
        assert await client.list_templates()


async def test_each_event_loop_gets_a_client_of_its_own_under_the_same_limit(sandbox: Sandbox) -> None:
    hook = PihuPulseHook()

    async with await hook.get_async_conn() as one, await hook.get_async_conn() as other:
        assert one is not other
        assert one.limit is other.limit is hook.limit


def test_form_of_older_airflow_has_the_same_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow 3.0 and 3.1 ask the hook for WTForms fields."""
    _stand_in(monkeypatch, "flask_appbuilder.fieldwidgets", "BS3PasswordFieldWidget", "BS3TextFieldWidget")
    _stand_in(monkeypatch, "wtforms.validators", "Optional")
    _stand_in(monkeypatch, "wtforms", "BooleanField", "IntegerField", "PasswordField", "StringField")

    widgets = PihuPulseHook.get_connection_form_widgets()

    assert list(widgets) == [field.name for field in connection_form.FIELDS]
    kinds = {name: type(widget).__name__ for name, widget in widgets.items()}
    assert {name for name, kind in kinds.items() if kind == "PasswordField"} == {
        "webhook_secret",
        "previous_webhook_secret",
        "proxy",
    }
    assert kinds["burst"] == "IntegerField"
    assert kinds["allow_http"] == "BooleanField"


def test_port_stays_on_the_form() -> None:
    """A hidden port is sent as 0 by the Test button, which Airflow 3.3 refuses."""
    behaviour = PihuPulseHook.get_ui_field_behaviour()

    assert behaviour["hidden_fields"] == ["login", "schema"]
    assert behaviour["relabeling"]["password"] == "API key"


def _stand_in(monkeypatch: pytest.MonkeyPatch, name: str, *classes: str) -> None:
    module = ModuleType(name)
    for one in classes:
        setattr(module, one, type(one, (), {"__init__": lambda self, *_args, **_kwargs: None}))
    monkeypatch.setitem(sys.modules, name, module)
