"""The messages that a page quotes, and the files that it names, are the package's own."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
QUOTED = re.findall(r"^\| \*(.+?)\* \|", PAGE.read_text("utf-8"), re.MULTILINE)


@cache
def messages() -> str:
    """Return the package's source with the parts of each text joined."""
    sources = sorted((ROOT / "pihupulse_provider").rglob("*.py"))
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(source.read_text("utf-8") for source in sources))


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_exists(quoted: str) -> None:
    """ "…" stands for a value: what lies between follows in one text."""
    shown = quoted.replace("\\*", "*")
    parts = [re.escape(part) for part in shown.split("…")]
    assert re.search(r"[^\n]*?".join(parts), messages())


def test_the_files_that_contributing_names_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"`(\w+(?:/\w+)*(?:\.py|/))`", text)
    bases = (ROOT, ROOT / "pihupulse_provider")

    assert len(named) > 40
    assert {name for name in named if not any((base / name).exists() for base in bases)} == set()
