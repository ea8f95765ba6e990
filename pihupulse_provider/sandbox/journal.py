"""What is kept in a file: one JSON line for each change, read back at the start."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


class JournalInUseError(RuntimeError):
    """Another sandbox has the data file open."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is in use by another sandbox: stop it, or choose another file.")


class NoJournal:
    """Keeps nothing."""

    def read(self) -> Iterator[dict[str, Any]]:
        """Return what was kept: nothing."""
        return iter(())

    def write(self, entries: Iterable[dict[str, Any]]) -> None:
        """Forget the entries."""

    def clear(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Journal(NoJournal):
    """A JSON Lines file; what was written survives the death of the process, and a torn last line is dropped."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise JournalInUseError(path) from error

    def read(self) -> Iterator[dict[str, Any]]:
        """Return the entries, oldest first."""
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        self._file.truncate(whole)
        return (json.loads(line) for line in content[:whole].splitlines())

    def write(self, entries: Iterable[dict[str, Any]]) -> None:
        """Append the entries in one write."""
        self._file.write(b"".join(json.dumps(entry).encode() + b"\n" for entry in entries))

    def clear(self) -> None:
        """Empty the file."""
        self._file.truncate(0)

    def close(self) -> None:
        """Close the file and free it for another sandbox."""
        self._file.close()
