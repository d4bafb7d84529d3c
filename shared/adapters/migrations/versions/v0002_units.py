"""Units of the campaigns' experiments, and when a customer was first enrolled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and let armings tell first enrolments from later ones."""
    op.create_table(
        "units",
        sa.Column("campaign", sa.String(64), primary_key=True),
        sa.Column("customer", sa.String(128), primary_key=True),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(36), nullable=False),
        sa.Column("arm", sa.String(16), nullable=False),
        sa.Column("control_share", sa.Float(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.Column("last_activity", sa.BigInteger(), nullable=False),
        sa.Column("revenue", sa.Float(), nullable=False),
        sa.Column("margin", sa.Float(), nullable=False),
        sa.Column("retained", sa.Boolean()),
        sa.Column("revenue_gained", sa.Float()),
        sa.Column("margin_gained", sa.Float()),
    )
    op.create_index("units_by_partition", "units", ["partition", "retained"])
    op.add_column("armings", sa.Column("first_at", sa.BigInteger()))
    # Who was enrolled before units were kept cannot be measured, and is no unit later either.
    op.execute("UPDATE armings SET first_at = enrolled_at")


def downgrade() -> None:
    """Drop both."""
    op.drop_column("armings", "first_at")
    op.drop_table("units")
