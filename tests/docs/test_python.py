"""Every Python block of the documentation runs, page by page, against a local PihuPulse."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from pihupulse_provider.sandbox import Sandbox
from tests.docs.pages import ROOT, Block, blocks, name_of, pages

NEEDS = {"docs/guides/retries.md": Version("3.3")}
"""Airflow versions before which a page's subject does not exist."""


_FILE = re.compile(r"# (\w+\.py)\n")


def _python(page: Path, *, tests: bool) -> list[Block]:
    """Return a page's blocks: the files of a project of tests, which begin with their names, or the others."""
    return [block for block in blocks(page, "python") if bool(_FILE.match(block.text)) is tests]


def _runs_here(page: Path) -> bool:
    return Version(airflow_version) >= NEEDS.get(name_of(page), Version("3.0"))


RUNNING = [page for page in pages() if _python(page, tests=False) and _runs_here(page)]
TESTING = [page for page in pages() if _python(page, tests=True)]


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A PihuPulse with candidates and completed screenings: behind ``pihupulse_default``, and in two variables."""
    with Sandbox(candidates=3, start_seconds=0, screening_seconds=0) as sandbox:
        sandbox.insert_screenings([candidate["id"] for candidate in sandbox.candidates])
        monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", sandbox.connection_json)
        monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
        monkeypatch.setenv("PIHUPULSE_API_KEY", sandbox.api_key)
        monkeypatch.setenv("PIHUPULSE_BASE_URL", sandbox.base_url)
        monkeypatch.chdir(tmp_path)
        yield


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("page", RUNNING, ids=name_of)
def test_the_blocks_of_a_page_run_in_order(page: Path) -> None:
    namespace: dict[str, object] = {"__name__": "documentation"}
    for block in _python(page, tests=False):
        exec(_compiled(block), namespace)


@pytest.mark.parametrize("page", TESTING, ids=name_of)
def test_the_tests_that_a_page_shows_pass(page: Path, tmp_path: Path) -> None:
    """They run as a user's do: in a folder of their own, with nothing set."""
    (tmp_path / "dags").mkdir()
    shutil.copy(ROOT / "dags_examples" / "screen_one_candidate.py", tmp_path / "dags")
    for block in _python(page, tests=True):
        (tmp_path / _FILE.match(block.text)[1]).write_text(block.text, "utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    command = [sys.executable, "-m", "pytest", "-q"]
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-4000:]
    assert " passed" in ended.stdout


def _compiled(block: Block) -> CodeType:
    # The blank lines before it make a traceback name the line of the page.
    return compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")
