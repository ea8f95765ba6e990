"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path
from typing import IO, Any, Protocol

from pihupulse_provider.api.errors import PihuPulseError


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
    to read (0600) from the start, since it may hold personal data; object stores have no modes.

    :raises StorageError: if it can't be written.
    """
    folder, _, name = path.path.rpartition("/")
    part = f"{folder}/.{name}.{secrets.token_hex(4)}.part"
    is_local = "file" in _protocols(path.fs)
    try:
        if is_local and Path(path.path).is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))  # noqa: TRY301 - said before anything is written
        with _open_local(part) if is_local else path.fs.open(part, "wb") as file:
            yield file
        if is_local:
            Path(part).replace(path.path)
        else:
            path.fs.mv(part, path.path)
    except OSError as error:
        _remove(path.fs, part)
        raise StorageError(
            f"{path} can't be written: {error.strerror or error}. Check its folder, permissions and free space; a file "
            "that was there before is unharmed."
        ) from error
    except BaseException:
        _remove(path.fs, part)
        raise


@contextmanager
def _open_local(path: str) -> Iterator[IO[bytes]]:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())  # else a power cut may leave an empty file in the path's place


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _remove(fs: Any, part: str) -> None:
    with suppress(OSError):
        fs.rm(part)
