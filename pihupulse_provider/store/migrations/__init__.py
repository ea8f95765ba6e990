"""The versions of the store's schema, as Alembic revisions, and the upgrade from one to the next.

A store's version stands in the table ``pihupulse_schema``. The first process of a newer package brings it to
:data:`HEAD`, in one transaction and under a lock (see :class:`~pihupulse_provider.store.engine.Store`). A store
without a version is empty, or was made by 1.0.0, which made its tables one by one: the baseline makes the missing ones.

To change the schema:

1. Change the tables where they are declared, in the modules of :mod:`pihupulse_provider.store`.
2. Add a file ``r0002_what_it_does.py`` beside ``r0001_baseline.py`` with ``revision = "0002"``,
   ``down_revision = "0001"`` and ``upgrade()``, which calls ``alembic.op`` (``op.add_column``, ``op.create_table``,
   ``op.create_index``). It spells its tables out: what it does must not change when the declarations do.
3. Set :data:`HEAD` to the new number.

Numbers have four digits and no gaps; whoever merges second takes the next. Processes of the version before go on
while the schema changes beneath them, so only add: tables, indexes, and columns that may be NULL or have a
``server_default``. ``tests/store/test_migrations.py`` compares what the revisions make, from nothing and from a store
of 1.0.0, with the declared tables.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

if TYPE_CHECKING:
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

HEAD = "0006"
"""The newest revision: the schema that this package's code works with."""
_VERSION_TABLE = "pihupulse_schema"
_version: sa.sql.ColumnElement[str] = sa.column("version_num")
_upgrading = threading.Lock()
"""``alembic.op`` is one for the process."""


def current_version(connection: Connection) -> str | None:
    """Return the version of a store's schema; None if it has none: it is empty, or was made by 1.0.0."""
    if not sa.inspect(connection).has_table(_VERSION_TABLE):
        return None
    version: str | None = connection.execute(sa.select(_version).select_from(sa.table(_VERSION_TABLE))).scalar()
    return version


def upgrade(connection: Connection, version: str | None) -> None:
    """Run the revisions from a version to :data:`HEAD`, in the transaction of the connection."""
    migration, operations, script = load()
    context = migration.configure(connection, opts={"version_table": _VERSION_TABLE})
    with _upgrading, operations.context(context):
        for revision in reversed(list(script.iterate_revisions(HEAD, version or "base"))):
            revision.module.upgrade()
        context.stamp(script, HEAD)


@cache
def load() -> tuple[type[MigrationContext], type[Operations], ScriptDirectory]:
    """Load what an upgrade needs, once a process: heavy, and hardly ever needed.

    Before the transaction of the upgrade begins: nobody should wait at its lock for a disk, and PostgreSQL closes a
    connection whose transaction stands still for as long as a busy machine may take.
    """
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    folder = str(Path(__file__).parent)
    script = ScriptDirectory(folder, version_locations=[folder])
    script.get_heads()  # reads the revisions
    return MigrationContext, Operations, script
