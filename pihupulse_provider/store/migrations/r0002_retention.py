"""What retention remembers of the store's clock."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "pihupulse_retention",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seen_at", sa.Float(53), nullable=False),
        sa.Column("jumped_at", sa.Float(53), nullable=False),
        sa.Column("jumped_seconds", sa.Float(53), nullable=False),
    )
