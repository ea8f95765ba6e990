"""What random histories have in common: each is played by its number, which decides it all, and is told."""

from __future__ import annotations

import argparse
import logging
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def told_log(tell: Callable[[str], None]) -> Iterator[None]:
    """Have what the package logs told, and nowhere else."""
    handler = logging.Handler()
    handler.emit = lambda record: tell(f"    {record.getMessage()}")  # type: ignore[method-assign]
    logger = logging.getLogger("pihupulse_provider")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


def in_words(wrong: BaseException | str | None) -> str | None:
    """Return what is wrong in the end as a text."""
    return "".join(traceback.format_exception(wrong)) if isinstance(wrong, BaseException) else wrong


def play_in_folder(make: Callable[[int, Path, pytest.MonkeyPatch], Any], number: int) -> tuple[Any, str | None]:
    """Play a history that keeps files; return it, and what is wrong in the end."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        history = make(number, Path(folder), patch)
        with told_log(history.tell):
            wrong = history.play()
    return history, in_words(wrong)


def play_many(play: Callable[[int], tuple[Any, str | None]], description: str | None) -> int:
    """Play as many as the command line says; return 0 if all end well."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--tell", action="store_true", help="print what happens")
    options = parser.parse_args()
    ends: Counter[bool] = Counter()
    for number in range(options.first, options.first + options.count):
        history, wrong = play(number)
        ends[wrong is None] += 1
        if options.tell:
            print(*history.told, sep="\n")
        if wrong is not None:
            print(f"{number}: {wrong} ({history.chances})", flush=True)
    print(f"{ends[True]} ended well, {ends[False]} did not")
    return int(ends[False] > 0)
