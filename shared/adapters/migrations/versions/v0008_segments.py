"""Segments of customers, and the boundaries of quintiles that scorers were told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both; whoever was scored before is in no segment until the next score."""
    for column in (
        sa.Column("segment", sa.String(16), nullable=False, server_default=""),
        sa.Column("value_band", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("customers", column)
    op.create_index("customers_by_segment", "customers", ["segment", "value_band"])
    op.create_table(
        "boundaries",
        sa.Column("version", sa.BigInteger(), primary_key=True),
        sa.Column("known", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_table("boundaries")
    op.drop_index("customers_by_segment", "customers")
    op.drop_column("customers", "value_band")
    op.drop_column("customers", "segment")
