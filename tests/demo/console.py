"""What the demo shows: a line that moves while something is under way, and a table."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from typing import Any

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Progress:
    """Shows the step under way: in place on a terminal, a line a change elsewhere."""

    def __init__(self) -> None:
        self._moves = sys.stdout.isatty()
        self._frames = itertools.cycle(FRAMES)
        self._begun = time.monotonic()
        self._last = ""

    def step(self, text: str) -> None:
        """Show what is under way."""
        if self._moves:
            self._write(f"\r\033[K{next(self._frames)} {text} ({time.monotonic() - self._begun:.0f} s)")
        elif text != self._last:
            self._write(f"  … {text}\n")
        self._last = text

    def done(self, text: str) -> None:
        """Tick a step off."""
        self.clear()
        self._write(f"✓ {text} ({time.monotonic() - self._begun:.0f} s)\n")
        self._last = ""

    def fail(self, text: str) -> None:
        """Say what went wrong."""
        self.clear()
        self._write(f"✗ {text}\n")

    def clear(self) -> None:
        """Take the moving line away."""
        if self._moves:
            self._write("\r\033[K")

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows under titles, each column as wide as its longest cell."""
    cells = [[str(cell) for cell in row] for row in (titles, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    lines.insert(1, "  " + "  ".join("─" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)
