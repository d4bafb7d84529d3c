"""What webhooks have not delivered yet, and how their endpoints stand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both."""
    op.create_table(
        "webhook_deliveries",
        sa.Column("endpoint", sa.String(64), primary_key=True),
        sa.Column("decision", sa.String(36), primary_key=True),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("webhook_deliveries_by_time", "webhook_deliveries", ["endpoint", "next_at"])
    op.create_table(
        "webhook_endpoints",
        sa.Column("endpoint", sa.String(64), primary_key=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.BigInteger()),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.Column("reason", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_table("webhook_endpoints")
    op.drop_index("webhook_deliveries_by_time", "webhook_deliveries")
    op.drop_table("webhook_deliveries")
