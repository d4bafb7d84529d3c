"""Who withdrew consent within a unit's window: what a campaign costs in trust."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both columns; of units from before it is not known."""
    channel = sa.Column("channel", sa.String(64), nullable=False, server_default="")
    op.add_column("units", channel)
    op.add_column("units", sa.Column("opted_out", sa.Boolean()))


def downgrade() -> None:
    """Drop both."""
    op.drop_column("units", "opted_out")
    op.drop_column("units", "channel")
