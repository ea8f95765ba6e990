"""Files, temporary and lasting: whole or not at all, small in memory, and plain when the disk is full."""

from __future__ import annotations

import tracemalloc

import pytest
from airflow.sdk import ObjectStoragePath

from pihupulse_provider.api import Account
from pihupulse_provider.creating.field_map import FieldMap
from pihupulse_provider.creating.loader import Loader
from pihupulse_provider.creating.readers import Row, Source
from pihupulse_provider.creating.resources import CandidateResource
from pihupulse_provider.creating.row_table import RowTable, TableRow
from pihupulse_provider.exporting.atomic_file import StorageError, atomic_file, write_json_lines
from pihupulse_provider.exporting.temporary_database import TemporaryDatabaseError
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.ledger import Ledger


@pytest.fixture
def path(tmp_path):
    return ObjectStoragePath(f"file://{tmp_path}/folder/file.jsonl")


def test_folders_are_made_and_nothing_else_is_left(path, tmp_path):
    write_json_lines(path, [{"row": 1}, {"row": 2}])
    assert [one.name for one in (tmp_path / "folder").iterdir()] == ["file.jsonl"]
    assert (tmp_path / "folder" / "file.jsonl").read_text() == '{"row": 1}\n{"row": 2}\n'


def test_a_reader_sees_the_old_file_until_the_new_one_is_complete(path, tmp_path):
    write_json_lines(path, [{"row": 1}])
    with atomic_file(path) as file:
        file.write(b"half")
        file.flush()
        assert (tmp_path / "folder" / "file.jsonl").read_text() == '{"row": 1}\n'
    assert (tmp_path / "folder" / "file.jsonl").read_text() == "half"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_is_given_up_leaves_nothing(path, tmp_path, error):
    def give_up():
        with atomic_file(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        give_up()
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_full_disk_is_named(path):
    with pytest.raises(StorageError, match=r"file\.jsonl can't be written: No space left on device"), atomic_file(path):
        raise OSError(28, "No space left on device")


def test_a_full_disk_under_the_temporary_database_is_named():
    with RowTable() as plan:
        plan.run("PRAGMA max_page_count = 20")
        with pytest.raises(TemporaryDatabaseError, match="SQLITE_TMPDIR"):
            plan.add(TableRow(n, b"i" * 16, b"k" * 16, "x" * 500) for n in range(1000))


def test_memory_does_not_grow_with_the_rows():
    def peak(count):
        rows = (Row(n, {"name": f"Person {n}", "email": f"p.{n}@example.com"}) for n in range(1, count + 1))
        with RowTable() as plan:
            tracemalloc.start()
            Loader(plan, CandidateResource(FieldMap()), digest).load(Source(rows))
            measured = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert plan.count() == count
        return measured

    digest = Ledger(Store("sqlite://"), Account("key")).digest
    peak(10)
    assert peak(12_000) < peak(3_000) * 1.1
