"""What commands have in common."""

from __future__ import annotations

import functools
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from pihupulse_provider.api.errors import PihuPulseError

Run = Callable[[Namespace], None]


def command(run: Run) -> Run:
    """Run a command that prints a result: it logs warnings only, since logs go to stdout too."""

    @functools.wraps(run)
    def run_quietly(arguments: Namespace) -> None:
        with logged_from(logging.WARNING):
            run(arguments)

    return ends_in_a_sentence(run_quietly)


@contextmanager
def logged_from(level: int, logger: str = "") -> Iterator[None]:
    """Have a logger, by default the root of all, leave out what is below a level."""
    changed = logging.getLogger(logger)
    before = changed.level
    changed.setLevel(max(level, before))
    try:
        yield
    finally:
        changed.setLevel(before)


def ends_in_a_sentence(run: Run) -> Run:
    """End with the message of a ``PihuPulseError``, and where nobody reads the output any more, without a traceback."""

    @functools.wraps(run)
    def run_or_exit(arguments: Namespace) -> None:
        try:
            run(arguments)
            sys.stdout.flush()
        except PihuPulseError as error:
            raise SystemExit(f"Error: {error}") from error
        except BrokenPipeError:  # who reads it has seen enough, such as head; Python would fail once more as it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None  # what a check would still have found, nobody knows

    return run_or_exit


def printable(text: str) -> str:
    """Return a text that comes from elsewhere without what a terminal would carry out, such as a change of colours."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def print_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows below their titles, in columns."""
    cells = [titles, *([("-" if cell is None else printable(str(cell))) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
