"""What the service's clock said when something was marked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; what was marked before has none."""
    op.add_column("pihupulse_jobs", sa.Column("service_ahead", sa.Float))
    op.add_column("pihupulse_creates", sa.Column("service_ahead", sa.Float))
