"""Files appear whole or not at all, and are only their owner's to read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from pihupulse_provider.exporting.atomic_file import StorageError, atomic_file, try_place
from pihupulse_provider.exporting.temporary_database import TemporaryDatabase


@pytest.fixture
def path(tmp_path):
    return ObjectStoragePath(f"file://{tmp_path}/folder/file.jsonl")


def write(path, text):
    with atomic_file(path) as file:
        file.write(text)


def test_folders_are_made_and_nothing_else_is_left(path, tmp_path):
    write(path, b"whole")
    assert [one.name for one in (tmp_path / "folder").iterdir()] == ["file.jsonl"]
    assert (tmp_path / "folder" / "file.jsonl").read_text() == "whole"


def test_a_reader_sees_the_old_file_until_the_new_one_is_complete(path, tmp_path):
    write(path, b"old")
    with atomic_file(path) as file:
        file.write(b"half")
        file.flush()
        assert (tmp_path / "folder" / "file.jsonl").read_text() == "old"
    assert (tmp_path / "folder" / "file.jsonl").read_text() == "half"


def test_a_power_cut_finds_the_old_file_or_the_whole_new_one(path, tmp_path, monkeypatch):
    """What is moved is on the disk by then."""
    file, kept = tmp_path / "folder" / "file.jsonl", {}
    fsync, replace = os.fsync, Path.replace

    def keep(descriptor):
        fsync(descriptor)
        kept[os.fstat(descriptor).st_ino] = os.fstat(descriptor).st_size

    def move(part, target):
        assert kept[part.stat().st_ino] == len(b"whole")
        return replace(part, target)

    monkeypatch.setattr(os, "fsync", keep)
    monkeypatch.setattr(Path, "replace", move)
    write(path, b"whole")
    assert file.read_bytes() == b"whole"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_is_given_up_leaves_nothing(path, tmp_path, error):
    def give_up():
        with atomic_file(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        give_up()
    assert list((tmp_path / "folder").iterdir()) == []


def leave(folder, name, age):
    """Make a file as a process that was killed leaves it, written last so many seconds ago."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("half")
    age_by(folder / name, age)


def age_by(file, age):
    moment = file.stat().st_mtime - age
    os.utime(file, (moment, moment))


def test_what_a_process_that_was_killed_left_behind_is_deleted(path, tmp_path, caplog):
    """It can be large and personal, and each try that is killed leaves one."""
    caplog.set_level("INFO")
    folder = tmp_path / "folder"
    leave(folder, ".file.jsonl.0123abcd.part", 3700)
    kept = [".file.jsonl.4567abcd.part", ".file.jsonl.x.part", ".other.jsonl.0123abcd.part", "file.jsonl.0123abcd.part"]
    for name, age in zip(kept, [3500, 1e6, 1e6, 1e6], strict=True):
        leave(folder, name, age)
    write(path, b"whole")
    assert {one.name for one in folder.iterdir()} == {"file.jsonl", *kept}
    assert [record.getMessage() for record in caplog.records] == [
        f"Deleted {folder}/.file.jsonl.0123abcd.part, which a task that was killed left behind."
    ]


def test_what_another_try_is_writing_is_left_to_it_however_long_that_takes(path, tmp_path):
    with atomic_file(path) as file:
        file.write(b"slow")
        file.flush()
        [part] = (tmp_path / "folder").glob(".*.part")
        age_by(part, 1e6)
        write(path, b"fast")
    assert [one.name for one in (tmp_path / "folder").iterdir()] == ["file.jsonl"]
    assert (tmp_path / "folder" / "file.jsonl").read_bytes() == b"slow"


def test_a_full_disk_is_named(path):
    with pytest.raises(StorageError, match=r"file\.jsonl can't be written: No space left on device"), atomic_file(path):
        raise OSError(28, "No space left on device")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0, 0o022])
def test_a_file_is_its_owners_alone_from_the_start(path, tmp_path, umask, request):
    before = os.umask(umask)
    request.addfinalizer(lambda: os.umask(before))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file.jsonl").write_text("everybody's")
    with atomic_file(path) as file:
        file.write(b"half")
        file.flush()
        [part] = folder.glob(".*.part")
        assert mode(part) == 0o600
    assert mode(folder / "file.jsonl") == 0o600


def test_a_folder_of_that_name_is_not_written_into(path, tmp_path):
    (tmp_path / "folder" / "file.jsonl").mkdir(parents=True)
    with pytest.raises(StorageError, match="Is a directory"), atomic_file(path):
        pytest.fail("it was opened")
    assert [one.name for one in (tmp_path / "folder").rglob("*")] == ["file.jsonl"]


def test_a_file_of_another_file_system_has_no_modes():
    memory = fsspec.filesystem("memory")
    write(SimpleNamespace(fs=memory, path="/bucket/folder/file.jsonl"), b"whole")
    assert memory.cat("/bucket/folder/file.jsonl") == b"whole"


class Refusing(MemoryFileSystem):
    """An object store that refuses some operations; each instance begins empty."""

    cachable = False

    def __init__(self, *refused):
        super().__init__()
        self.store, self.pseudo_dirs, self.refused = {}, [""], refused

    def cp_file(self, path1, path2, **_):
        self._check("copy")
        super().cp_file(path1, path2)

    def rm_file(self, path):
        self._check("delete")
        del self.store[path]

    def _check(self, operation):
        if operation in self.refused:
            raise PermissionError(13, "Access Denied")


def stored(fs):
    return {name: fs.cat_file(name) for name in fs.store}


class TestObjectStores:
    """Names are taken as they are, and a file that can't be put away stops nothing."""

    @pytest.mark.parametrize("name", ["out[1].jsonl", "o*.jsonl", "what?.jsonl", "a b%20ü#1.jsonl"])
    def test_a_name_is_no_pattern(self, name):
        fs = Refusing()
        fs.pipe_file("/b/other.jsonl", b"another's")
        write(SimpleNamespace(fs=fs, path=f"/b/{name}"), b"whole")
        assert stored(fs) == {"/b/other.jsonl": b"another's", f"/b/{name}": b"whole"}

    def test_a_name_that_others_begin_with_is_a_file_of_its_own(self):
        """Spark leaves ``candidates.parquet/part-0``; an export to ``candidates.parquet`` is there under that name."""
        fs = Refusing()
        fs.pipe_file("/b/day/part-0", b"another's")
        write(SimpleNamespace(fs=fs, path="/b/day"), b"whole")
        assert stored(fs) == {"/b/day/part-0": b"another's", "/b/day": b"whole"}

    def test_google_cloud_storage_moves_as_a_shell_does_too(self):
        class Google(Refusing):
            protocol = ("gs", "gcs")

            def mv(self, path1, path2, **_):
                raise AssertionError("it would expand patterns, and move into what it takes for a folder")

        fs = Google()
        write(SimpleNamespace(fs=fs, path="/b/file"), b"whole")
        assert stored(fs) == {"/b/file": b"whole"}

    def test_one_that_forbids_to_delete_has_the_file_and_what_is_left_over_is_named(self, caplog):
        fs = Refusing("delete")
        write(SimpleNamespace(fs=fs, path="/b/file"), b"whole")
        [left] = stored(fs).keys() - {"/b/file"}
        assert stored(fs)["/b/file"] == b"whole"
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert f"{left} can't be deleted" in caplog.text

    def test_what_would_fail_at_the_end_fails_when_it_is_tried(self, caplog):
        """A role that may write and not read can't copy; one that may not delete leaves files, which is said."""
        fs = Refusing("copy")
        with pytest.raises(StorageError, match="can't be written: Access Denied"):
            try_place(SimpleNamespace(fs=fs, path="/b/file"))
        try_place(SimpleNamespace(fs=Refusing("delete"), path="/b/file"))
        assert "can't be deleted" in caplog.text

    def test_a_trial_leaves_everything_as_it_is(self):
        fs = Refusing()
        fs.pipe_file("/b/file", b"old")
        try_place(SimpleNamespace(fs=fs, path="/b/file"))
        assert stored(fs) == {"/b/file": b"old"}


class Renaming(Refusing):
    """A server with a rename, which fsspec puts on the instance where it is a coroutine, as for ``sftp://``."""

    def __init__(self):
        super().__init__("copy")
        self.mv = lambda old, new: self.store.update({new: self.store.pop(old)})


def test_a_server_that_can_rename_does():
    """A copy would show half a file meanwhile."""
    fs = Renaming()
    write(SimpleNamespace(fs=fs, path="/b/file"), b"whole")
    try_place(SimpleNamespace(fs=fs, path="/b/file"))
    assert stored(fs) == {"/b/file": b"whole"}


def test_a_folder_in_the_way_on_a_server_is_known_when_it_is_tried():
    fs = Renaming()
    fs.pipe_file("/b/folder/inner", b"another's")
    with pytest.raises(StorageError, match="Is a directory"):
        try_place(SimpleNamespace(fs=fs, path="/b/folder"))


class TestLinks:
    """``latest.jsonl`` may be a link to what others read; it stays one."""

    @pytest.mark.parametrize("before", [None, "old"])
    def test_what_a_link_points_to_gets_the_content(self, tmp_path, before):
        (tmp_path / "elsewhere").mkdir()
        target, link = tmp_path / "elsewhere" / "target.jsonl", tmp_path / "link.jsonl"
        if before is not None:
            target.write_text(before)
        link.symlink_to(target)
        write(ObjectStoragePath(f"file://{link}"), b"whole")
        assert link.is_symlink()
        assert target.read_text() == "whole"
        assert sorted(one.name for one in tmp_path.rglob("*")) == ["elsewhere", "link.jsonl", "target.jsonl"]

    def test_a_link_to_itself_is_replaced(self, tmp_path):
        link = tmp_path / "link.jsonl"
        link.symlink_to(link)
        write(ObjectStoragePath(f"file://{link}"), b"whole")
        assert link.read_text() == "whole"


def test_a_temporary_database_is_its_owners_alone_and_has_no_name():
    with TemporaryDatabase("CREATE TABLE rows (body TEXT)") as database:
        database.run("PRAGMA cache_size = 1")
        database.run_many("INSERT INTO rows VALUES (?)", (["x" * 1000] for _ in range(20_000)))
        links = [one for one in Path("/proc/self/fd").iterdir() if one.exists()]
        files = [one for one in links if "etilqs_" in str(one.readlink())]
        assert files
        assert {mode(one) for one in files} == {0o600}
        assert all(str(one.readlink()).endswith("(deleted)") for one in files)
