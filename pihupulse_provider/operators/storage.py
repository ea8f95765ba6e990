"""Files that a task reads and writes, at any path of Airflow's object storage."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.creating.errors import SourceError
from pihupulse_provider.creating.readers import FileFormat, NeededOf, Source
from pihupulse_provider.exporting.atomic_file import atomic_file, try_place

_PROVIDERS = {
    "s3": "amazon[s3fs]",
    "s3a": "amazon[s3fs]",
    "s3n": "amazon[s3fs]",
    "gs": "google",
    "gcs": "google",
    "abfs": "microsoft-azure",
    "abfss": "microsoft-azure",
    "adl": "microsoft-azure",
    "hdfs": "apache-hdfs",
    "sftp": "sftp",
    "http": "http",
    "https": "http",
}
"""What registers the file system of a scheme with Airflow."""


def storage_path(argument: str, path: str) -> ObjectStoragePath:
    """Return a path of Airflow's object storage, once it is known that Airflow can reach its file system.

    :param argument: what the user calls it.
    :raises ConfigurationError: if it is empty, or naming the provider to install.
    """
    check_not_empty(argument, path)
    scheme = path.partition("://")[0] if "://" in path else "file"
    try:
        # fsspec up to 2025 takes a path that begins with "./" for one at the root.
        found = ObjectStoragePath(path if "://" in path else str(Path(path).absolute()))
        found.fs  # noqa: B018 - where it is looked up
    except (ImportError, ValueError) as error:
        provider = _PROVIDERS.get(scheme)
        advice = (
            f'pip install "apache-airflow-providers-{provider}"'
            if provider
            else "install the Airflow provider that has it, or use another path"
        )
        raise ConfigurationError(f"{argument} is at {scheme}://, which Airflow can't reach here: {advice}.") from error
    return found


def check_not_empty(argument: str, path: str | None) -> None:
    """Check that a path is one, or None, be it a template. :raises ConfigurationError: if it is empty."""
    if path is not None and not str(path).strip():
        raise ConfigurationError(f"{argument} is empty: give a path, or leave {argument} out.")


def check_files_differ(written: Mapping[str, str | None], read: Iterable[tuple[str, Any]] = ()) -> None:
    """Check that the files which a task writes are not each other, nor any that it reads.

    :param written: a path for each argument. :param read: arguments and paths.
    :raises ConfigurationError: naming two arguments that mean the same file.
    """
    found: dict[str, str] = {}
    for argument, path in written.items():
        if path is not None and (other := found.setdefault(_normal(path), argument)) != argument:
            raise ConfigurationError(f"{other} and {argument} are the same, and each is a file of its own: give two.")
    for argument, path in read if found else ():  # to ask mapped tasks for theirs takes a request each
        if (taken := found.get(_normal(path))) is not None:
            raise ConfigurationError(f"{taken} is the file that {argument} names, and would replace it: give another.")


def _normal(path: Any) -> str:
    scheme, is_url, rest = str(path).partition("://")
    if is_url and scheme not in ("file", "local"):
        return f"{scheme}://{posixpath.normpath(rest)}"
    return os.path.realpath(rest if is_url else str(path))


def check_writable(argument: str, path: str | None) -> None:
    """Check that a file can be written, by trying so beside it, before anything is done that it is to tell of.

    :raises ConfigurationError: if its file system is missing. :raises StorageError: if it can't be written.
    """
    if path is not None:
        try_place(storage_path(argument, path))


def write_lines(
    argument: str, path: str | None, records: Iterable[Mapping[str, Any]], commit: Callable[[], None] | None = None
) -> None:
    """Write records as JSON Lines, unless the path is None.

    :param commit: called once they are written, before the file takes its place; if it fails, the file does not.
    :raises StorageError: if they can't be written.
    """
    if path is not None:
        with atomic_file(storage_path(argument, path)) as file:
            for record in records:
                file.write(json.dumps(record).encode() + b"\n")
            if commit is not None:
                file.flush()
                commit()


@contextmanager
def open_source(path: str, file_format: FileFormat, needed_of: NeededOf = list) -> Iterator[Source]:
    """Open a file of rows.

    :param needed_of: returns which of a Parquet file's columns are read.
    :raises SourceError: naming the file, if it can't be opened or, within the block, read.
    """
    try:
        file = storage_path("the path", path).open("rb")  # type: ignore[no-untyped-call]
    except OSError as error:
        is_relative = "://" not in path and not Path(path).is_absolute()
        where = f"{path} ({Path(path).absolute()} for this task)" if is_relative else path
        raise SourceError(
            f"{where} can't be opened: {error.strerror or error}. Check the path and its access."
        ) from error
    try:
        with file, file_format.reading(path, file, needed_of) as source:
            yield source
    except SourceError as error:
        error.args = (f"{path}: {error}",)
        raise
