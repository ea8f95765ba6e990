"""The layers of the package, as ``[tool.importlinter]`` in ``pyproject.toml`` draws them."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def test_every_import_keeps_to_the_layers(capsys: pytest.CaptureFixture[str]) -> None:
    cli = pytest.importorskip(
        "importlinter.cli", reason="a tool of development, not in the environment of oldest versions"
    )

    failed = cli.lint_imports(config_filename=str(PROJECT), no_cache=True)

    assert not failed, capsys.readouterr().out
