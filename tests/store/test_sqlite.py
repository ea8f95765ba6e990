"""The file of a store: nobody else's to read, and never one that was moved away."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pihupulse_provider.store import sqlite
from pihupulse_provider.store.direct_append import EventRow
from pihupulse_provider.store.engine import Store, StoreError
from pihupulse_provider.store.sqlite import network_file_system
from tests.full_disk import files_of_at_most

AS_NOBODY = """
import os, sys
from sqlalchemy import create_engine
from pihupulse_provider.store.engine import Store, StoreError
create_engine("sqlite://", future=True).connect().close()  # loads all that nobody may not read of this checkout
os.setuid(65534)
store = Store(sys.argv[1])
try:
    with store.begin() as connection:
        connection.exec_driver_sql("INSERT INTO notes VALUES ('refused')")
except StoreError as error:
    print(error)
if len(sys.argv) > 2:
    os.chmod(sys.argv[2], 0o600)
    with store.begin() as connection:
        connection.exec_driver_sql("INSERT INTO notes VALUES ('again')")
        print("written")
"""
TWICE_AS_NOBODY = """
import logging, os, sys
from sqlalchemy import create_engine
from pihupulse_provider.store.engine import Store
logging.basicConfig(format="%(message)s", level=logging.WARNING)
create_engine("sqlite://", future=True).connect().close()  # loads all that nobody may not read of this checkout
os.setuid(65534)
store = Store(sys.argv[1])
for _ in range(2):
    with store.begin():
        pass
    store.dispose()
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root can be somebody else.")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{path}")
    yield store
    store.dispose()


@pytest.fixture
def no_umask() -> Iterator[None]:
    """Whatever is not asked to be private is not."""
    before = os.umask(0)
    yield
    os.umask(before)


def _note(store: Store, text: str) -> None:
    with store.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS notes (text)")
        connection.exec_driver_sql(f"INSERT INTO notes VALUES ('{text}')")


def notes(path: Path) -> list[str]:
    """Return what another program finds in the file."""
    connection = sqlite3.connect(path)
    try:
        return [text for (text,) in connection.execute("SELECT text FROM notes")]
    finally:
        connection.close()


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}


def test_it_is_private_from_the_start(no_umask: None, store: Store, path: Path) -> None:
    _note(store, "private")

    assert modes(path.parent) == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), "0o600")


def test_one_that_others_could_read_is_made_private(
    no_umask: None, store: Store, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As version 1.0.0 left it, with what SQLite keeps beside it while it is open."""
    other = sqlite3.connect(path)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE notes (text)")
    assert set(modes(path.parent).values()) == {"0o644"}

    _note(store, "private")

    assert set(modes(path.parent).values()) == {"0o600"}
    assert caplog.messages[0] == f"Other users could read {path}, which can hold personal data; now only its owner can."
    other.close()


def test_folders_that_it_makes_are_private(no_umask: None, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    store = Store(f"sqlite:///{tmp_path}/there/made/inside/store.db")
    _note(store, "private")

    made = [oct(folder.stat().st_mode & 0o777) for folder in (tmp_path / "there/made/inside", tmp_path / "there/made")]
    assert made == ["0o700", "0o700"]
    assert modes(tmp_path) == {"there": "0o777"}, "it was there, and is not ours to change"
    store.dispose()


def test_a_link_leads_to_a_private_file(no_umask: None, store: Store, path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "target.db")
    _note(store, "private")

    assert modes(tmp_path)["target.db"] == "0o600"


def test_a_uri_names_a_private_file(no_umask: None, path: Path) -> None:
    store = Store(f"sqlite:///file:{path}?mode=rwc&uri=true")
    _note(store, "private")

    assert modes(path.parent)["store.db"] == "0o600"
    store.dispose()


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A path that other users get to."""
    with TemporaryDirectory(prefix="pihupulse-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "store.db"


@as_root
def test_a_file_of_another_user_is_said_to_be_one(open_path: Path) -> None:
    path, store = open_path, Store(f"sqlite:///{open_path}")
    _note(store, "private")
    store.dispose()

    command = [sys.executable, "-c", AS_NOBODY, f"sqlite:///{path}"]
    said = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (
        f"{path} belongs to the user root, and this process runs as nobody. Run all of Airflow as one user"
        in said.stdout
    )


@as_root
def test_that_others_can_read_it_is_said_once_where_it_cannot_be_changed(open_path: Path) -> None:
    store = Store(f"sqlite:///{open_path}")
    _note(store, "private")
    store.dispose()
    open_path.parent.chmod(0o777)
    open_path.chmod(0o666)

    command = [sys.executable, "-c", TWICE_AS_NOBODY, f"sqlite:///{open_path}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True)

    assert said.stderr.splitlines() == [f"Other users may read {open_path}, and this one can't change that."]


@as_root
def test_one_that_was_read_only_is_written_once_it_is_not(open_path: Path) -> None:
    path, store = open_path, Store(f"sqlite:///{open_path}")
    _note(store, "first")
    store.dispose()
    for mine in (path.parent, path):
        os.chown(mine, 65534, 65534)
    path.chmod(0o400)

    command = [sys.executable, "-c", AS_NOBODY, f"sqlite:///{path}", str(path)]
    said = subprocess.run(command, check=False, capture_output=True, text=True)

    assert "readonly database" in said.stdout, said.stderr
    assert said.stdout.endswith("written\n"), said.stderr
    assert notes(path) == ["first", "again"]


@pytest.mark.parametrize("replacement", ["nothing", "another store"])
def test_one_that_was_moved_is_not_written_any_more(store: Store, path: Path, replacement: str) -> None:
    _note(store, "before")
    if replacement == "another store":
        other = Store(f"sqlite:///{path}.new")
        _note(other, "restored")
        other.dispose()
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").rename(path.parent / f"moved.db{end}")
    if replacement == "another store":
        Path(f"{path}.new").rename(path)

    _note(store, "after")
    with store.read() as connection:
        seen = [row[0] for row in connection.exec_driver_sql("SELECT text FROM notes")]

    assert seen == notes(path) == (["after"] if replacement == "nothing" else ["restored", "after"])
    assert notes(path.parent / "moved.db") == ["before"]


@pytest.mark.parametrize("how", ["log removed", "emptied", "copied over"])
def test_what_is_committed_after_somebody_changed_the_file_in_place_is_in_it(store, path, how) -> None:
    _note(store, "before")
    with sqlite3.connect(path) as original, sqlite3.connect(f"{path}.copy") as copy:
        original.backup(copy)
    copy.close()
    original.close()
    if how == "emptied":
        os.truncate(path, 0)
    else:
        if how == "copied over":
            shutil.copyfile(f"{path}.copy", path)
        for end in ("-wal", "-shm"):
            Path(f"{path}{end}").unlink()

    _note(store, "after")

    reading = f"import sqlite3; print(*sqlite3.connect({str(path)!r}).execute('SELECT text FROM notes'))"
    found = subprocess.run([sys.executable, "-c", reading], capture_output=True, text=True, check=False)
    assert "('after',)" in found.stdout, found.stderr


@pytest.mark.parametrize("quiet", [True, False])
def test_a_log_that_is_gone_is_noticed_at_once(store: Store, path: Path, quiet: bool) -> None:
    """Whether the folder has long been as it is, or changes twice at what its file system takes for the same time."""
    _note(store, "before")
    if quiet:
        os.utime(path.parent, (0, 0))
    _note(store, "again")
    now = path.parent.stat().st_mtime_ns
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink()
    if not quiet:
        os.utime(path.parent, ns=(now, now))

    _note(store, "after")

    assert notes(path)[-1] == "after"


def test_letting_go_of_a_moved_file_leaves_the_new_ones_log_alone(store: Store, path: Path) -> None:
    """SQLite names its write-ahead log by the path: that of the new file is another process's by then."""
    _note(store, "before")
    path.rename(path.parent / "moved.db")
    other = Store(f"sqlite:///{path}")
    _note(other, "other")

    _note(store, "mine")

    assert notes(path) == ["other", "mine"]
    other.dispose()
    assert notes(path) == ["other", "mine"]


def test_a_folder_that_went_away_is_made_again(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/folder/store.db")
    _note(store, "before")
    shutil.rmtree(tmp_path / "folder")

    _note(store, "after")

    assert notes(tmp_path / "folder/store.db") == ["after"]
    store.dispose()


def test_looking_for_room_makes_a_folder_that_is_missing(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/new/folder/store.db")
    store.check_space()
    assert (tmp_path / "new/folder").is_dir()
    store.dispose()


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(f"sqlite:///{tmp_path}/file/folder/store.db")
    missing = f"its folder {tmp_path}/file/folder is missing, and this process can't make it. Make it"
    with pytest.raises(StoreError, match=f"can't grow: {missing}"):
        store.check_space()
    with pytest.raises(StoreError, match=f"failed: unable to open database file: {missing}"):
        _note(store, "anything")
    store.dispose()


def test_a_full_disk_fails_each_time_until_there_is_room(store: Store, path: Path) -> None:
    _note(store, "first")
    with files_of_at_most(4096):
        for _ in range(3):
            with pytest.raises(StoreError):
                _note(store, "x" * 100_000)
            with pytest.raises(StoreError, match="can't grow: File too large"):
                store.check_space()

    store.check_space()
    _note(store, "last")
    assert notes(path) == ["first", "last"]
    assert not [name for name in modes(path.parent) if not name.startswith("store.db")], "checking leaves nothing"


def test_a_store_that_nobody_holds_any_more_leaves_no_file_open(path: Path) -> None:
    store = Store(f"sqlite:///{path}")
    _note(store, "last")
    store.append_events([EventRow("connection", "event", b"identity", None, None, None, b"{}")])
    assert open_files(path)

    del store
    gc.collect()

    assert not open_files(path)


def open_files(path: Path) -> list[str]:
    """Return which files this process has open whose names begin with that path."""
    named = (str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink())
    return [name for name in named if name.startswith(str(path))]


def test_reading_waits_for_no_writer(path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_LOCK_SECONDS", 0.1)
    _note(store, "first")
    reader = Store(f"sqlite:///{path}")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO notes VALUES ('not yet')")

    with reader.read() as connection:
        assert connection.exec_driver_sql("SELECT text FROM notes").scalars().all() == ["first"]
        writer.execute("COMMIT")
        assert connection.exec_driver_sql("SELECT text FROM notes").scalars().all() == ["first"], "one state for all"
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        _note(reader, "locked out")
    writer.close()
    reader.dispose()


def test_a_reader_keeps_no_writer_waiting(path: Path, store: Store) -> None:
    _note(store, "first")
    other = Store(f"sqlite:///{path}")
    with store.read() as connection:
        connection.exec_driver_sql("SELECT text FROM notes").all()
        _note(other, "second")

    assert notes(path) == ["first", "second"]
    other.dispose()


@pytest.mark.parametrize(
    ("path", "kind"), [("/mnt/share/a/store.db", "nfs4"), ("/mnt/share/local/store.db", None), ("/home/store.db", None)]
)
def test_a_network_file_system_is_told_by_the_mount_that_is_nearest(path: str, kind: str | None) -> None:
    mounts = """22 1 8:1 / / rw,relatime - ext4 /dev/vda rw
30 22 0:45 / /mnt/share rw,relatime shared:5 - nfs4 files:/share rw,vers=4.2
31 30 8:2 / /mnt/share/local rw,relatime - xfs /dev/vdb rw"""
    assert network_file_system(Path(path), mounts) == kind
