"""The file of a store on SQLite: nobody else's to read from its first byte, and watched for being moved or replaced."""

from __future__ import annotations

import logging
import os
import pwd
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import URL

log = logging.getLogger(__name__)
_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_making = threading.Lock()
"""Closing any descriptor of a file drops the locks that SQLite holds on it in this process: nobody else opens the file
until its maker has closed it."""


class FileIdentity(NamedTuple):
    """Which file a path leads to, whatever it is called."""

    device: int
    inode: int


class SqliteFile:
    """The database file at a path, with the files that SQLite keeps beside it, which take over its mode."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def identity(self) -> FileIdentity | None:
        """Return which file is at the path now; None if there is none."""
        try:
            status = os.stat(self.path)  # noqa: PTH116 - asked before each transaction
        except OSError:
            return None
        return FileIdentity(status.st_dev, status.st_ino)

    def prepare(self) -> None:
        """Make what is missing, the file (0600) and its folders (0700), and make private what others could read.

        What can't be done is left: connecting then says what is wrong, each time it is tried.
        """
        with suppress(OSError):
            _make_folders(self.path.parent)
            self._make()
        for path in (self.path, *(self.path.with_name(self.path.name + end) for end in ("-wal", "-shm", "-journal"))):
            with suppress(OSError):
                _narrow(path)

    def problem(self) -> str | None:
        """Return why this process can't use the file, if that is another user's doing."""
        for path in (self.path, self.path.parent):
            with suppress(OSError):
                status = path.stat()
                if status.st_uid != os.geteuid() and not os.access(path, os.R_OK | os.W_OK):
                    return (
                        f"{path} belongs to the user {_user(status.st_uid)}, and this process runs as "
                        f"{_user(os.geteuid())}. Run all of Airflow as one user, or use PostgreSQL."
                    )
        return None

    def _make(self) -> None:
        # SQLite makes the file that a link leads to, so this does as well.
        target = os.path.realpath(self.path)
        with _making, suppress(FileExistsError):
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE_FILE))


def sqlite_path(url: URL) -> Path | None:
    """Return the path of a SQLite URL's file; None if the database is in memory."""
    name = url.database or ":memory:"
    if name.startswith("file:") and url.query.get("uri"):
        name = unquote(urlsplit(name).path)
    return None if name == ":memory:" or url.query.get("mode") == "memory" else Path(name).absolute()


def _make_folders(folder: Path) -> None:
    if not folder.exists():
        _make_folders(folder.parent)
        folder.mkdir(_PRIVATE_FOLDER, exist_ok=True)


def _narrow(path: Path) -> None:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) or not mode & _OTHERS:
        return
    try:
        path.chmod(_PRIVATE_FILE)
    except PermissionError:
        log.warning("Other users may read %s, which can hold personal data, and it isn't this user's to change.", path)
    else:
        log.warning("Other users could read %s, which can hold personal data; now only its owner can.", path)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
