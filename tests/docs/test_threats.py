"""Each line of the threat model names a test, and each test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "concepts" / "threats.md"
NAMED = re.findall(r"`(tests/[^`]+\.py)((?:::\w+)+)`", PAGE.read_text("utf-8"))


def _has(path: Path, names: list[str]) -> bool:
    """Return whether a file has a function of that name, or a class with one: ``["TestIt", "test_works"]``."""
    inside: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    for name in names:
        defined = (node for outer in inside for node in ast.walk(outer))
        inside = [node for node in defined if getattr(node, "name", None) == name]
    return bool(inside)


@pytest.mark.parametrize(("file", "names"), NAMED, ids=["".join(one) for one in NAMED])
def test_a_named_test_exists(file: str, names: str) -> None:
    path = ROOT / file
    assert path.exists(), f"{file} is gone"
    assert _has(path, names.strip(":").split("::")), f"{file} has no {names.strip(':')}"


def test_each_threat_has_a_test() -> None:
    """A threat is a row of a table with a column for tests."""
    tables = re.findall(r"^\|.*\| Test \|\n\| ---.*\n((?:\|.*\n)+)", PAGE.read_text("utf-8"), re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]

    assert len(rows) > 30
    assert [row for row in rows if "`tests/" not in row] == []
