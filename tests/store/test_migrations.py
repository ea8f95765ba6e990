"""A store of any version becomes the newest one's: once, whoever comes first, with everything that is in it."""

from __future__ import annotations

import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from pihupulse_provider.api import Account
from pihupulse_provider.store import engine, migrations
from pihupulse_provider.store.cursors import Cursor, Stretch
from pihupulse_provider.store.engine import Store, StoreError, StoreVersionError, metadata
from pihupulse_provider.store.event_watermarks import EventWatermarks
from pihupulse_provider.store.inbox import EventFilter, Inbox
from pihupulse_provider.store.ledger import Ledger
from pihupulse_provider.store.limits import StoreRateLimit

MADE_BY_1_0_0 = Path(__file__).parent / "made_by_1_0_0"
"""A store as version 1.0.0 left it: a SQLite file, and what ``pg_dump --inserts`` wrote."""
ACCOUNT = Account("pp_example")
FORTY = """
import logging, os, sys
from alembic.migration import MigrationContext
from pihupulse_provider.store.engine import Store
logging.basicConfig(format="%(message)s", level=logging.INFO)
Store(sys.argv[1])  # imports the driver once for all
children = []
for _ in range(40):
    if not (child := os.fork()):
        with Store(sys.argv[1]).read():
            os._exit(0)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""
KILLED = """
import os, signal, sys
import sqlalchemy as sa
from pihupulse_provider.store.engine import Store

@sa.event.listens_for(sa.engine.Engine, "before_cursor_execute")
def end(_connection, _cursor, statement, *_rest):
    if sys.argv[2] in statement:
        os.kill(os.getpid(), signal.SIGKILL)

with Store(sys.argv[1]).read():
    pass
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that nobody has used."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return str(request.getfixturevalue("empty_postgres_url"))


@pytest.fixture
def old_url(empty_url: str, tmp_path: Path) -> str:
    """A store that version 1.0.0 made and filled."""
    if empty_url.startswith("sqlite"):
        shutil.copy(MADE_BY_1_0_0 / "store.db", tmp_path / "store.db")
    else:
        _execute(empty_url, (MADE_BY_1_0_0 / "store.sql").read_text())
    return empty_url


@pytest.fixture
def store(old_url: str) -> Iterator[Store]:
    """The store of 1.0.0, opened by this version."""
    store = Store(old_url)
    yield store
    store.dispose()


def test_an_empty_store_gets_every_table_as_it_is_declared(empty_url: str) -> None:
    assert _differences(empty_url) == []


def test_a_store_of_1_0_0_gets_every_table_as_it_is_declared(old_url: str) -> None:
    assert _differences(old_url) == []


def test_tables_that_1_0_0_had_not_made_yet_are_made(old_url: str) -> None:
    _execute(old_url, "DROP TABLE pihupulse_events; DROP TABLE pihupulse_creates")

    assert _differences(old_url) == []


def test_everything_in_a_store_of_1_0_0_is_kept(store: Store) -> None:
    ledger = Ledger(store, ACCOUNT)
    job = ledger.open("dag/run/import/-1")
    assert (job.is_new, job.fingerprint) == (False, "source")
    assert {mark.item[0]: mark.object_id for mark in ledger.marks(job)} == {1: "cand_1", 2: "cand_2", 3: None}
    assert not ledger.open("dag/run/create/-1").is_new

    inbox = Inbox(store)
    assert [entry.event.screening_id for entry in inbox.read(EventFilter()).events] == ["scr_1", "scr_2", "scr_3"]
    assert inbox.head() == 3
    cursor = Cursor(store, "pihupulse_default", "reports")
    assert cursor.position() == 2
    assert cursor.stretch("dag/run/read/-1") == Stretch(0, 2)

    watermarks = EventWatermarks(store, "pihupulse_default", ACCOUNT.key, "screenings")
    assert watermarks.stages(["scr_1", "scr_2", "scr_3"]) == {"scr_1": 2, "scr_2": 1}
    StoreRateLimit(store, ACCOUNT.key).reserve()


def test_a_store_of_1_0_0_serves_a_1_0_0_that_runs_beside_it(store: Store, old_url: str) -> None:
    """In a rolling deploy its tasks go on with the statements they have."""
    with store.read():
        pass

    _execute(
        old_url,
        "INSERT INTO pihupulse_jobs (account, name, started_at, owner, fingerprint) VALUES ('a', 'n', 1.0, '', NULL) "
        "ON CONFLICT (account, name) DO NOTHING;"
        "INSERT INTO pihupulse_creates (job, item, key, at, object_id) VALUES (3, 'i', 'k', 1.0, NULL) "
        "ON CONFLICT (job, item) DO UPDATE SET at = excluded.at, object_id = excluded.object_id;"
        "INSERT INTO pihupulse_limits (account, state) VALUES ('a', '{}');"
        "INSERT INTO pihupulse_inbox (id, position) VALUES (1, 1) "
        "ON CONFLICT (id) DO UPDATE SET position = pihupulse_inbox.position + excluded.position;"
        "INSERT INTO pihupulse_events (connection, event, identity, received_at, screening_id, candidate_id, "
        "template_id, body, position) VALUES ('c', 'e', 'x', 1.0, NULL, NULL, NULL, 'b', 4);"
        "INSERT INTO pihupulse_cursors (connection, consumer, position, moved_at) VALUES ('c', 'n', 0, 1.0);"
        "INSERT INTO pihupulse_reads (connection, consumer, reader, start_position, end_position, read_at) "
        "VALUES ('c', 'n', 'r', 0, 1, 1.0);"
        "INSERT INTO pihupulse_progress (connection, account, kind, subject, stage) VALUES ('c', 'a', 'k', 's', 1);"
        "INSERT INTO pihupulse_sweeps (connection, account, kind, begun_at) VALUES ('c', 'a', 'k', 1.0)",
    )


def test_forty_processes_that_start_at_once_upgrade_it_once(old_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORTY, old_url], check=True, capture_output=True, text=True, timeout=120
    )

    assert done.stderr.count("Brought the schema of the store") == 1
    assert _differences(old_url) == []


@pytest.mark.parametrize("at", ["INSERT INTO pihupulse_schema", "CREATE TABLE pihupulse_schema"])
def test_an_upgrade_that_was_killed_is_finished_by_the_next(empty_url: str, at: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, empty_url, at], check=False, timeout=60)
    assert done.returncode == -9
    assert _tables(empty_url) == set()

    assert _differences(empty_url) == []


def test_a_newer_store_is_left_alone(empty_url: str) -> None:
    store = Store(empty_url)
    with store.begin() as connection:
        connection.exec_driver_sql("UPDATE pihupulse_schema SET version_num = '0999'")
        connection.exec_driver_sql("DROP TABLE pihupulse_limits")
    store.dispose()

    old = Store(empty_url)
    for use in (old.begin, old.read):
        with pytest.raises(StoreVersionError, match="version 0999, which a newer version"), use():
            pytest.fail("It was used.")
    assert "pihupulse_limits" not in _tables(empty_url)
    old.dispose()


def test_an_older_package_goes_on_once_the_store_is_one_that_it_knows(empty_url: str) -> None:
    store = Store(empty_url)
    with store.begin() as connection:
        connection.exec_driver_sql("UPDATE pihupulse_schema SET version_num = '0999'")
    other = Store(empty_url)
    with pytest.raises(StoreError), other.read():
        pass
    with store.begin() as connection:
        connection.exec_driver_sql(f"UPDATE pihupulse_schema SET version_num = '{migrations.HEAD}'")

    with other.read():
        pass
    for one in (store, other):
        one.dispose()


def test_a_current_schema_is_looked_at_once_and_never_locked(empty_url: str) -> None:
    """So tasks that start together need not queue, not even behind one that upgrades or writes."""
    holder = Store(empty_url)
    store = Store(empty_url)
    statements: list[str] = []
    sa.event.listen(store._engine, "before_cursor_execute", lambda *of: statements.append(of[2]))

    with holder.begin() as connection:
        if not holder.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": engine._SCHEMA_LOCK})
        for _ in range(3):
            with store.read() as reading:
                reading.execute(sa.select(sa.func.count()).select_from(metadata.tables["pihupulse_limits"]))

    assert sum("version_num" in statement for statement in statements) == 1
    for one in (store, holder):
        one.dispose()


def test_alembic_is_loaded_for_an_upgrade_only(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    code = """
import sys
from pihupulse_provider.store.engine import Store
with Store(sys.argv[1]).read():
    sys.exit("alembic" in sys.modules)
"""
    first, second = (subprocess.run([sys.executable, "-c", code, url], check=False).returncode for _ in range(2))

    assert (first, second) == (1, 0)


def test_what_an_upgrade_needs_is_loaded_before_others_wait_for_it(empty_url: str) -> None:
    """On a busy machine that takes seconds, after which PostgreSQL closes a connection whose transaction is idle."""
    code = """
import sys
import sqlalchemy as sa
from pihupulse_provider.store.engine import Store
store = Store(sys.argv[1])
transactions = 0
opened = []
loaded = []
def begin(connection):
    global transactions
    transactions += 1
    opened.append(connection)
def watch(event, of):
    if event == "open" and opened and str(of[0]).endswith((".py", ".pyc")):
        loaded.append(of[0])
sys.addaudithook(watch)
sa.event.listen(store._engine, "begin", begin)
sa.event.listen(store._engine, "commit", lambda connection: opened.clear())
with store.read():
    print(transactions, loaded)
"""
    done = subprocess.run([sys.executable, "-c", code, empty_url], check=False, capture_output=True, text=True)

    assert done.stdout == "3 []\n", done.stderr


def test_the_newest_revision_is_the_packages(tmp_path: Path) -> None:
    folder = str(Path(migrations.__file__).parent)
    script = ScriptDirectory(folder, version_locations=[folder])

    assert script.get_heads() == [migrations.HEAD]
    revisions = [revision.revision for revision in script.walk_revisions()][::-1]
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]


def _execute(url: str, script: str) -> None:
    """Run a script as another program would, without this package's store."""
    if url.startswith("sqlite"):
        import sqlite3

        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.executescript(script)
        connection.close()
        return
    store = sa.create_engine(engine.parse_store_url(url), poolclass=sa.pool.NullPool)
    with store.begin() as connection:
        connection.connection.cursor().execute(script)


def _tables(url: str) -> set[str]:
    other = sa.create_engine(engine.parse_store_url(url), poolclass=sa.pool.NullPool)
    return {name for name in sa.inspect(other).get_table_names() if name != "pihupulse_schema"}


def _differences(url: str) -> list[object]:
    """Open the store, and return in what its tables and indexes differ from those that the package declares."""
    for module in pkgutil.iter_modules([str(Path(engine.__file__).parent)]):
        import_module(f"pihupulse_provider.store.{module.name}")
    store = Store(url)
    with store.read() as connection:
        options = {"version_table": "pihupulse_schema", "compare_type": True}
        found: list[object] = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    store.dispose()
    return found
