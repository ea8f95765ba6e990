"""When a slot of a limit was last taken: beside the state, whose names are those of version 1.0.0."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; a limit that no process of this version has used has none."""
    op.add_column("pihupulse_limits", sa.Column("reserved_at", sa.Float(53)))
