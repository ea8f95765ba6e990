"""The receiver answers generated requests as its OpenAPI document says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.inbox import Inbox
from pihupulse_provider.webhooks import SIGNATURE_HEADER, sign
from pihupulse_provider.webhooks.receiver import Receiver
from pihupulse_provider.webhooks.signature import is_well_formed
from tests.webhooks.conftest import stored
from tests.webhooks.running import CONNECTION, SECRET, serving

NAME = SIGNATURE_HEADER.lower().encode()


class SignedOnTheWay:
    """Makes a well-formed signature a good one, so that generated bodies get past the door."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and self._is_well_formed(scope):
            body = b""
            while (message := await receive())["type"] == "http.request":
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            headers = [pair for pair in scope["headers"] if pair[0] != NAME]
            headers.append((NAME, sign(body, SECRET).encode()))
            scope = {**scope, "path": f"/pihupulse/webhooks/{CONNECTION}", "headers": headers}
            receive = _again(body)
        await self._app(scope, receive, send)

    def _is_well_formed(self, scope: Any) -> bool:
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == NAME]
        return len(given) == 1 and is_well_formed(given[0])


def _again(body: bytes) -> Any:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


@pytest.mark.parametrize("is_signed", [False, True], ids=["as sent", "signed"])
def test_generated_requests_are_answered_as_described(tmp_path: Path, is_signed: bool):
    pytest.importorskip("schemathesis", reason="a tool of development, not in the environment of oldest versions")
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    app: Any = Receiver(store, {CONNECTION: lambda: [SECRET]}, retention=86400, prefix="/pihupulse")
    with serving(SignedOnTheWay(app) if is_signed else app) as address:
        command = Path(sys.executable).with_name("schemathesis")
        options = ["--max-examples", "10", "--seed", "1", "--no-color"]
        ended = subprocess.run(
            [command, "run", f"{address}/pihupulse/openapi.json", *options],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=120,
        )
    assert ended.returncode == 0, ended.stdout
    assert bool(stored(Inbox(store))) == is_signed
