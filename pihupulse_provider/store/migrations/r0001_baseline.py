"""The tables of version 1.0.0, which made each on its first use: those that are missing are made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

revision = "0001"
down_revision = None

_POSITION = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_metadata = sa.MetaData()

sa.Table(
    "pihupulse_limits",
    _metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
)
sa.Table(
    "pihupulse_jobs",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.String(32), nullable=False),
    sa.Column("name", sa.String(1000), nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("owner", sa.String(16), nullable=False),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("marked_at", sa.Float),
    sa.Index("pihupulse_jobs_name", "account", "name", unique=True),
)
sa.Table(
    "pihupulse_creates",
    _metadata,
    sa.Column("job", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("item", sa.LargeBinary(16), primary_key=True),
    sa.Column("key", sa.LargeBinary(16), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("object_id", sa.String(255)),
    sa.Index("pihupulse_creates_object", "object_id"),
)
sa.Table(
    "pihupulse_events",
    _metadata,
    sa.Column("position", _POSITION, primary_key=True, autoincrement=False),
    sa.Column("connection", sa.String(255), nullable=False),
    sa.Column("event", sa.String(255), nullable=False),
    sa.Column("identity", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("received_at", sa.Float(53), nullable=False, index=True),
    sa.Column("screening_id", sa.String(255), index=True),
    sa.Column("candidate_id", sa.String(255)),
    sa.Column("template_id", sa.String(255)),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
sa.Table(
    "pihupulse_inbox",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", _POSITION, nullable=False),
)
sa.Table(
    "pihupulse_cursors",
    _metadata,
    sa.Column("connection", sa.String(255), primary_key=True),
    sa.Column("consumer", sa.String(255), primary_key=True),
    sa.Column("position", _POSITION, nullable=False),
    sa.Column("moved_at", sa.Float(53), nullable=False),
)
sa.Table(
    "pihupulse_reads",
    _metadata,
    sa.Column("connection", sa.String(255), primary_key=True),
    sa.Column("consumer", sa.String(255), primary_key=True),
    sa.Column("reader", sa.String(64), primary_key=True),
    sa.Column("start_position", _POSITION, nullable=False),
    sa.Column("end_position", _POSITION, nullable=False),
    sa.Column("read_at", sa.Float(53), nullable=False, index=True),
)
sa.Table(
    "pihupulse_progress",
    _metadata,
    sa.Column("connection", sa.String(255), primary_key=True),
    sa.Column("account", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),
    sa.Column("stage", sa.Integer, nullable=False),
)
sa.Table(
    "pihupulse_sweeps",
    _metadata,
    sa.Column("connection", sa.String(255), primary_key=True),
    sa.Column("account", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("begun_at", sa.Float(53), nullable=False),
    sa.Column("told_since", sa.Float(53)),
    sa.Column("wanted_since", sa.Float(53)),
)


def upgrade() -> None:
    """Make the missing tables and indexes."""
    for table in _metadata.sorted_tables:
        op.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            op.execute(CreateIndex(index, if_not_exists=True))
