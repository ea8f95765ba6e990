"""Files that appear whole or not at all."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path
from typing import IO, Any, Protocol

from pihupulse_provider.api.errors import PihuPulseError

log = logging.getLogger(__name__)
_LEFT_BEHIND = 3600.0
"""Seconds since a hidden file was written last, after which it may be deleted if nobody has it locked."""


class StorageError(PihuPulseError):
    """A file can't be written; the one that was there before is unharmed."""


class StoragePath(Protocol):
    """A path of an fsspec file system, such as Airflow's ``ObjectStoragePath``."""

    @property
    def fs(self) -> Any:
        """Return its file system."""
        ...

    @property
    def path(self) -> str:
        """Return the path within the file system."""
        ...


@contextmanager
def atomic_file(path: StoragePath) -> Iterator[IO[bytes]]:
    """Open a file that takes the path's place once it is complete: a reader sees the old one or the new one.

    It is written beside the path, under a hidden name that ends in ``.part``, and then moved; that is atomic on a
    local disk, and on object stores, where an object appears when it is complete. A local file is its owner's alone
    to read (0600) from the start, since it may hold personal data; object stores have no modes. Where the path is a
    link, what it points to is written. What a process that was killed left beside it is deleted by the next that
    writes there, an hour later or more.

    :raises StorageError: if it can't be written.
    """
    with _written(path, _target(path)) as file:
        yield file


def try_place(path: StoragePath) -> None:
    """Do with an empty file all that :func:`atomic_file` does, except that it takes nothing's place.

    :raises StorageError: if that fails.
    """
    moved_to = _hidden(_target(path))
    with _written(path, moved_to):
        pass
    _delete(path.fs, moved_to)


@contextmanager
def _written(path: StoragePath, moved_to: str) -> Iterator[IO[bytes]]:
    target, part = _target(path), _hidden(_target(path))
    try:
        if _can_rename(path.fs) and path.fs.isdir(target):
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))  # noqa: TRY301 - said before anything is written
        with _open_local(target, part) if _is_local(path.fs) else path.fs.open(part, "wb") as file:
            yield file
        _move(path.fs, part, moved_to)
    except OSError as error:
        _discard(path.fs, part)
        raise StorageError(
            f"{path} can't be written: {error.strerror or error}. Check its folder, permissions and free space; a file "
            "that was there before is unharmed."
        ) from error
    except BaseException:
        _discard(path.fs, part)
        raise


def _target(path: StoragePath) -> str:
    return os.path.realpath(path.path) if _is_local(path.fs) else path.path


def _hidden(target: str) -> str:
    folder, _, name = target.rpartition("/")
    return f"{folder}/.{name}.{secrets.token_hex(4)}.part"


def _move(fs: Any, part: str, to: str) -> None:
    if _is_local(fs):
        Path(part).replace(to)
    elif _can_rename(fs):
        fs.mv(part, to)
    else:
        fs.cp_file(part, to)
        _delete(fs, part)


def _can_rename(fs: Any) -> bool:
    """Return whether a file system moves a file by giving it another name.

    Else ``mv`` copies as a shell does: it takes ``*``, ``?`` and ``[`` in a name for a pattern, and copies *into* a
    target with which other names begin. That of Google Cloud Storage does so, too.
    """
    is_inherited = getattr(fs.mv, "__module__", None) == "fsspec.spec"
    return not is_inherited and "gs" not in _protocols(fs)


@contextmanager
def _open_local(target: str, part: str) -> Iterator[IO[bytes]]:
    Path(part).parent.mkdir(parents=True, exist_ok=True)
    with open(part, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _delete_left_behind(Path(target), os.fstat(file.fileno()).st_mtime)
        yield file
        file.flush()
        os.fsync(file.fileno())  # else a power cut may leave an empty file in the path's place


def _delete_left_behind(target: Path, now: float) -> None:
    """Delete what processes that were killed left beside a file: one that is alive has its own locked.

    :param now: the time by the clock of the file system.
    """
    hidden = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.part")
    for part in target.parent.iterdir():
        if not hidden.fullmatch(part.name) or part.lstat().st_mtime > now - _LEFT_BEHIND:
            continue
        with suppress(OSError), part.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()
            log.info("Deleted %s, which a task that was killed left behind.", part)


def _is_local(fs: Any) -> bool:
    return "file" in _protocols(fs)


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _delete(fs: Any, part: str) -> None:
    """Delete a file whose content is in its place: that it can't be deleted is no reason to fail."""
    try:
        fs.rm_file(part)
    except Exception as error:  # not every file system raises an OSError
        log.warning("%s can't be deleted: %s. Delete it, since it may hold personal data.", part, error)


def _discard(fs: Any, part: str) -> None:
    with suppress(Exception):  # what is raised already tells more
        fs.rm_file(part)
