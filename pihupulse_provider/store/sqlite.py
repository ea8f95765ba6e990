"""SQLite as a store: a file, nobody else's to read from its first byte, and watched for being moved or replaced."""

from __future__ import annotations

import logging
import os
import pwd
import re
import sqlite3
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DisconnectionError

from pihupulse_provider.api.logs import OutageLog
from pihupulse_provider.store.store_url import quiet_engine

log = logging.getLogger(__name__)
_LOCK_SECONDS = 30
"""How long is waited for SQLite's write lock, which nobody can take from a process that is stopped."""
_MOST_KEPT = 0.9
"""The share of that for which a process may keep it, and be sure that nobody has gone on without the store."""
_LARGEST_LOG = 4000
"""Pages, of 4 kB: after so many SQLite brings its log into the file. With its default of 1,000, what many transactions
change, such as the pages of an index, is written and synced four times as often."""
_COARSEST_TIME = 2.0
"""Seconds, by which the times of a file system go at most: FAT's do."""
_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_NETWORK_FILE_SYSTEMS = re.compile(
    r"(9p|afs|beegfs|ceph|cifs|gpfs|lustre|nfs|smb|virtiofs)\w*|fuse\.\w*(s3|ssh|gcs|ceph|gluster)\w*"
)
"""SQLite's locks can't be relied on there (sqlite.org, "How To Corrupt An SQLite Database File", 2.1)."""
_making = threading.Lock()
"""Closing any descriptor of a file drops the locks that SQLite holds on it in this process: nobody else opens the file
until its maker has closed it."""


class FileIdentity(NamedTuple):
    """Which file a path leads to, whatever it is called, and how often connections to it had been given up before."""

    device: int
    inode: int
    given_up: int


class SqliteFile:
    """The database file at a path, with the files that SQLite keeps beside it, which take over its mode."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name, self._name_of_log, self._name_of_folder = str(path), f"{path}-wal", str(path.parent)
        self._log_seen: tuple[int, int | None] | None = None
        self._outage = OutageLog(log)
        self._given_up = 0

    def identity(self) -> FileIdentity | None:
        """Return which file is at the path now; None if there is none."""
        status = _status(self._name)
        return None if status is None else self._identity(status)

    def is_current(self, info: dict[Any, Any]) -> bool:
        """Return whether a connection with that ``info`` is to what is at the path now.

        What was committed last is in the log beside the file, which stays there as long as a connection is open: where
        it is gone, or the file is empty, somebody has put another state in its place.
        """
        status = _status(self._name)
        if status is None or info.get("file") != self._identity(status):
            return False
        log_file = self._log_file()
        known = info.setdefault("log", log_file) if log_file else info.get("log")
        return log_file == known and (known is None or status.st_size > 0)

    def _log_file(self) -> int | None:
        """Return which file is the log now; None if there is none.

        Since Linux 6.13 who looks at a file makes the next write to it take its time anew: a commit then takes a
        quarter longer. So this looks at the folder, which changes whenever the log comes or goes.
        """
        folder, seen = _status(self._name_of_folder), self._log_seen
        if folder is not None and seen is not None and seen[0] == folder.st_mtime_ns:
            return seen[1]
        beside = _status(self._name_of_log)
        log_file = None if beside is None else beside.st_ino
        # What has just changed may change again, at what the file system takes for the same time.
        is_settled = folder is not None and time.time() - folder.st_mtime > _COARSEST_TIME
        self._log_seen = (folder.st_mtime_ns, log_file) if folder is not None and is_settled else None
        return log_file

    def give_up_connections(self) -> None:
        """Have each connection replaced before it is used again: one that was opened read-only stays so."""
        self._given_up += 1

    def prepare(self) -> None:
        """Make what is missing, the file (0600) and its folders (0700), and make private what others could read.

        What can't be done is left: connecting then says what is wrong, each time it is tried.
        """
        with suppress(OSError):
            _make_folders(self.path.parent)
            self._make()
            self._narrow()
            self._align()

    def problem(self) -> str | None:
        """Return why this process can't use the file, if its folder is missing or that is another user's doing."""
        folder = self.path.parent
        with suppress(OSError):
            if not folder.exists():
                return f"its folder {folder} is missing, and this process can't make it. Make it, or use another one."
        for path in (self.path, self.path.parent):
            with suppress(OSError):
                status = path.stat()
                if status.st_uid != os.geteuid() and not os.access(path, os.R_OK | os.W_OK):
                    return (
                        f"{path} belongs to the user {_user(status.st_uid)}, and this process runs as "
                        f"{_user(os.geteuid())}. Run all of Airflow as one user, or use PostgreSQL."
                    )
        return None

    def _identity(self, status: os.stat_result) -> FileIdentity:
        return FileIdentity(status.st_dev, status.st_ino, self._given_up)

    def _narrow(self) -> None:
        mode = self.path.stat().st_mode
        if not stat.S_ISREG(mode) or not mode & _OTHERS:
            self._outage.recovered("Only its owner can read %s now.", self.path)
            return
        try:
            self.path.chmod(_PRIVATE_FILE)
        except PermissionError:
            self._outage.failed("Other users may read %s, and this one can't change that.", self.path)
        else:
            log.warning("Other users could read %s, which can hold personal data; now only its owner can.", self.path)

    def _align(self) -> None:
        """Give what SQLite keeps beside the file its mode: SQLite does so once only, and that can be long ago."""
        mode = stat.S_IMODE(self.path.stat().st_mode)
        for end in ("-wal", "-shm", "-journal"):
            beside = self.path.with_name(self.path.name + end)
            if beside.exists() and stat.S_IMODE(beside.stat().st_mode) != mode:
                with suppress(PermissionError):
                    beside.chmod(mode)

    def _make(self) -> None:
        # SQLite makes the file that a link leads to, so this does as well.
        target = os.path.realpath(self.path)
        with _making, suppress(FileExistsError):
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE_FILE))


def network_file_system(path: Path, mounts: str | None = None) -> str | None:
    """Return the type of the network file system that a path is on, such as ``nfs4``; None on a local disk.

    :param mounts: the text of ``/proc/self/mountinfo``, which only Linux has; None to read it.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
        except OSError:
            return None
    target, found = Path(os.path.realpath(path)), (-1, "")
    for line in mounts.splitlines():
        mount, _, file_system = line.partition(" - ")
        point = Path(mount.split()[4].replace("\\040", " "))
        if target.is_relative_to(point):
            found = max(found, (len(point.parts), file_system.split()[0]), key=lambda one: one[0])
    return found[1] if _NETWORK_FILE_SYSTEMS.fullmatch(found[1]) else None


def sqlite_path(url: URL) -> Path | None:
    """Return the path of a SQLite URL's file; None if the database is in memory."""
    name = url.database or ":memory:"
    if name.startswith("file:") and url.query.get("uri"):
        name = unquote(urlsplit(name).path)
    return None if name == ":memory:" or url.query.get("mode") == "memory" else Path(name).absolute()


def _status(name: str) -> os.stat_result | None:
    try:
        return os.stat(name)  # noqa: PTH116 - asked before each transaction
    except OSError:
        return None


def _make_folders(folder: Path) -> None:
    if not folder.exists():
        _make_folders(folder.parent)
        folder.mkdir(_PRIVATE_FOLDER, exist_ok=True)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def others_gave_up(kept_seconds: float) -> bool:
    """Return whether others may have stopped waiting for a lock that was kept for so long."""
    return kept_seconds > _MOST_KEPT * _LOCK_SECONDS


def sqlite_engine(url: URL, file: SqliteFile | None) -> Engine:
    """Return an engine whose transactions take the write lock from their start, unless they only read.

    Two execution options say what a transaction is: ``pihupulse_read``, or ``pihupulse_durable`` for one that writes.

    :param file: the file of the URL; None in memory.
    """
    options: dict[str, Any] = {"connect_args": {"timeout": _LOCK_SECONDS, "check_same_thread": False}}
    if file is not None:
        options["poolclass"] = sa.pool.QueuePool  # SQLAlchemy 1.4 would open the file anew for each transaction
    engine = quiet_engine(url, **options)
    sa.event.listen(engine, "connect", _prepare_connection)
    sa.event.listen(engine, "begin", _begin)
    if file is not None:
        _watch(engine, file)
    return engine


def _watch(engine: Engine, file: SqliteFile) -> None:
    """Connect to no file but a private one, and only to the one that is at the path."""

    def prepare(_dialect: object, record: Any, _arguments: object, _options: object) -> None:
        file.prepare()
        record.info["file"] = file.identity()

    def check(_connection: object, record: Any, _proxy: object) -> None:
        if not file.is_current(record.info):
            raise DisconnectionError("The file was moved or replaced.")  # the pool connects anew

    sa.event.listen(engine, "do_connect", prepare)
    sa.event.listen(engine, "checkout", check)


def _prepare_connection(connection: Any, _record: object) -> None:
    # The driver's own transactions would begin only at the first write: too late to read and then write.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA wal_autocheckpoint={_LARGEST_LOG}")
    # A new file is switched once for all. Whoever meets another at it is refused at once, however long it may wait.
    with suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("pihupulse_read"):
        connection.exec_driver_sql("BEGIN")
        return
    durable = options.get("pihupulse_durable", True)
    if connection.info.get("durable") is not durable:
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.info["durable"] = durable
    connection.exec_driver_sql("BEGIN IMMEDIATE")
