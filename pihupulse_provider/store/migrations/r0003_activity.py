"""What tasks are doing, and the names of accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "pihupulse_activity",
        sa.Column("key", sa.LargeBinary(16), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("connection", sa.String(255), nullable=False),
        sa.Column("dag_id", sa.String(255), nullable=False),
        sa.Column("run_id", sa.String(255), nullable=False),
        sa.Column("task_id", sa.String(255), nullable=False),
        sa.Column("map_index", sa.Integer, nullable=False),
        sa.Column("try_number", sa.Integer, nullable=False),
        sa.Column("what", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255)),
        sa.Column("total", sa.Integer),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Float(53), nullable=False),
        sa.Column("updated_at", sa.Float(53), nullable=False),
        sa.Column("next_at", sa.Float(53)),
        sa.Column("expires_at", sa.Float(53), nullable=False),
    )
    op.create_index("pihupulse_activity_newest", "pihupulse_activity", ["kind", "started_at"])
    op.create_index("pihupulse_activity_subject", "pihupulse_activity", ["subject"])
    op.create_index("pihupulse_activity_dag", "pihupulse_activity", ["dag_id"])
    op.create_index("pihupulse_activity_expires", "pihupulse_activity", ["expires_at"])
    op.create_table(
        "pihupulse_accounts",
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("connection", sa.String(255), primary_key=True),
    )
