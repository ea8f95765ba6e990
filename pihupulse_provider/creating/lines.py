"""The lines of a text file, each checked, in memory that no line makes grow."""

from __future__ import annotations

import codecs
import io
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from pihupulse_provider.creating.errors import SourceError, SourceFormatError

LONGEST_ROW = 2**20
"""Characters of a line, and of a CSV record over several lines."""
_OTHERS = "'utf-16' (Excel's Unicode text) or 'cp1252'"
_NOT_LINES = {
    "PK\x03\x04": "a ZIP archive, as spreadsheets such as .xlsx are: save it as CSV UTF-8, or unpack it",
    "PAR1\x15": "a Parquet file: set format to 'parquet'",
    "\x1f": "packed with gzip: end its name in .gz",
}
"""What a file is that begins so, in every encoding that has ASCII within; gzip's second byte may be no text."""
_UNDECODED = "\udfff"
"""Stands for bytes that are no text in the file's encoding; no text that was decoded holds it."""
codecs.register_error("pihupulse.undecoded", lambda error: (_UNDECODED, error.end))  # type: ignore[attr-defined]


@contextmanager
def reading_lines(file: IO[bytes], encoding: str) -> Iterator[Lines]:
    """Read an open file as text.

    :raises SourceError: if it can't be read, or is no text, while the lines are iterated over.
    """
    with io.TextIOWrapper(file, encoding, "pihupulse.undecoded", newline="") as text:
        yield Lines(_raw_lines(text), encoding)


class BadRowError(ValueError):
    """A row that can't be read; the message says why."""


class Lines:
    """The lines of a file, each checked; those behind the first that was taken can be taken again.

    An iterator, as :func:`csv.reader` takes it: one record may take several lines.
    """

    def __init__(self, lines: Iterator[str], encoding: str) -> None:
        self._lines = lines
        self._encoding = encoding
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._length = 0

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        self._length += len(line)
        if self._length > LONGEST_ROW or (self._length == LONGEST_ROW and not _is_whole(line)):
            raise BadRowError(f"is longer than {LONGEST_ROW:,} characters")
        if not line.isascii() and _UNDECODED in line:
            raise BadRowError(f"is not text in the encoding {self._encoding!r}: set encoding, perhaps to {_OTHERS}")
        return line

    @property
    def spans_lines(self) -> bool:
        """Return whether several lines were taken."""
        return len(self._taken) > 1

    def begin(self) -> None:
        """Begin a new row."""
        self._taken.clear()
        self._length = 0

    def rewind(self) -> None:
        """Put back all lines but the first."""
        self._again.extendleft(reversed(self._taken[1:]))


def _raw_lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Yield the lines of a file; of one that is too long only the beginning."""
    count = 0
    try:
        while line := text.readline(LONGEST_ROW):
            part = line
            while len(part) == LONGEST_ROW and not _is_whole(part):
                part = text.readline(LONGEST_ROW)
            if count == 0:
                line = line.removeprefix("\ufeff")
                _check_text(line)
            yield line
            count += 1
    except UnicodeError:
        raise SourceError(f"The file can't be read after line {count}: set encoding to the one it has.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"The file can't be read after line {count}: {type(error).__name__}: {error}.") from error


def _check_text(first: str) -> None:
    for beginning, kind in _NOT_LINES.items():
        if first.startswith(beginning):
            raise SourceFormatError(f"The file is {kind}.")


def _is_whole(line: str) -> bool:
    return line.endswith(("\n", "\r"))
