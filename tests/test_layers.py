"""What holds for every module of the package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def test_every_import_keeps_to_the_layers(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that ``[tool.importlinter]`` in ``pyproject.toml`` draws."""
    cli = pytest.importorskip(
        "importlinter.cli", reason="a tool of development, not in the environment of oldest versions"
    )

    failed = cli.lint_imports(config_filename=str(PROJECT), no_cache=True)

    assert not failed, capsys.readouterr().out


def test_no_statement_numbers_its_values() -> None:
    """Python 3.12 warns of those that do, and 3.14 refuses them."""
    modules = (PROJECT.parent / "pihupulse_provider").rglob("*.py")
    assert not [path.name for path in modules if re.search(r"\?\d", path.read_text())]
