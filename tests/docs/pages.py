"""The pages of the documentation and the fenced blocks in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^ *(?P<fence>`{3,})(?P<language>\w+)[^\n]*\n(?P<text>.*?)^ *(?P=fence) *$", re.MULTILINE | re.DOTALL
)
_COMMAND = re.compile(r"(\w+=\S+ )*(make|python|airflow|pip)\b")
_CONTINUED = re.compile(r"\\\n\s*")


@dataclass(frozen=True)
class Block:
    """One fenced block, and where it starts."""

    page: Path
    line: int
    language: str
    text: str


def pages() -> list[Path]:
    """Return README.md, CONTRIBUTING.md and every page of docs/."""
    built = ROOT / "docs" / "_build"
    found = [page for page in sorted((ROOT / "docs").rglob("*.md")) if built not in page.parents]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *found]


def name_of(page: Path) -> str:
    """Return a page's path in the repository."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the page's blocks in these languages, in order."""
    text = page.read_text("utf-8")
    return [
        Block(page, text.count("\n", 0, match.start("text")) + 1, match["language"], dedent(match["text"]))
        for match in _FENCE.finditer(text)
        if match["language"] in languages
    ]


def commands() -> list[str]:
    """Return every command line of the documentation that starts with one of the commands, once."""
    shells = [block for page in pages() for block in blocks(page, "bash", "console", "shell")]
    return list(dict.fromkeys(line for block in shells for line in _lines(block) if _COMMAND.match(line)))


def _lines(block: Block) -> list[str]:
    joined = _CONTINUED.sub(" ", block.text).splitlines()
    if block.language == "console":
        joined = [line.removeprefix("$ ") for line in joined if line.startswith("$ ")]
    return [line.split(" #")[0].strip() for line in joined if line.strip() and not line.startswith("#")]
