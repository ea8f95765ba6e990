"""The OpenAPI description and the server agree, shown by generated requests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pihupulse_provider.sandbox import Sandbox


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    with Sandbox(start_seconds=0, screening_seconds=0) as sandbox:
        sandbox.insert_screenings(sandbox.insert_candidates(3))
        yield sandbox


def test_generated_requests_are_answered_as_described(served: Sandbox, tmp_path: Path) -> None:
    """Good requests are served, bad ones refused, all with the documented statuses and shapes."""
    pytest.importorskip("schemathesis", reason="a tool of development, not in the environment of oldest versions")
    command = Path(sys.executable).with_name("schemathesis")
    description = served.base_url.replace("/v1", "/openapi.json")
    options = ["--header", f"Authorization: Bearer {served.api_key}", "--max-examples", "8", "--seed", "1"]
    ended = subprocess.run(
        [command, "run", description, *options, "--no-color"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert "No issues found" in ended.stdout, ended.stdout
    assert served.count() > 200
