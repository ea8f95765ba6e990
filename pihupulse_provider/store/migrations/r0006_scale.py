"""Indexes for events of a candidate or a template, up to when jobs were forgotten, and pages that tasks share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the indexes, which takes about a second for each million events, and the tables."""
    op.create_index("pihupulse_events_candidate", "pihupulse_events", ["candidate_id", "position"])
    op.create_index("pihupulse_events_template", "pihupulse_events", ["template_id", "position"])
    op.create_table(
        "pihupulse_forgotten",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("until", sa.Float(53), nullable=False),
    )
    op.create_table(
        "pihupulse_pages",
        sa.Column("account", sa.String(32), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("begun_at", sa.Float(53), nullable=False),
        sa.Column("body", sa.Text),
    )
