"""The rows on disk: small in memory, and plain when the disk is full."""

from __future__ import annotations

import tracemalloc

import pytest

from pihupulse_provider.api import Account
from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.create_run import Loader
from pihupulse_provider.creating.readers import Row, Source
from pihupulse_provider.creating.resources import CandidateResource
from pihupulse_provider.creating.row_table import RowTable
from pihupulse_provider.creating.rows import TableRow
from pihupulse_provider.exporting.temporary_database import TemporaryDatabaseError
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.ledger import Ledger


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
            Loader(plan, CandidateResource(CandidateInput()), digest).load(Source(rows))
            measured = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert plan.count() == count
        return measured

    digest = Ledger(Store("sqlite://"), Account("key")).digest
    peak(10)
    # Other threads of this process may take memory meanwhile.
    assert min(peak(8_000) for _ in range(3)) < peak(2_000) * 1.1
