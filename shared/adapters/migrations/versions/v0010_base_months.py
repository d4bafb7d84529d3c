"""The base over time, what was booked of each customer to it, and lifetime values to add up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SUMS = (
    "gained", "returned", "lost_voluntary", "lost_involuntary", "lost_silent", "lost_erased",
    "moved_in", "moved_out", "revenue", "margin", "payers", "recurring", "new", "won_back",
    "expansion", "contraction", "kept", "paid_in", "paid_out",
)  # fmt: skip


def upgrade() -> None:
    """Add them; whoever is known already is gained, and has a value, with the next score."""
    op.add_column("customers", sa.Column("booked", sa.Text()))
    value = sa.Column("clv", sa.Float(), nullable=False, server_default="0")
    op.add_column("customers", value)
    op.create_table(
        "base_months",
        sa.Column("month", sa.Integer(), primary_key=True),
        sa.Column("kept_by", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        *(sa.Column(each, sa.BigInteger(), nullable=False) for each in _SUMS),
    )
    op.create_index("base_months_by_part", "base_months", ["kept_by", "name"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("base_months_by_part", "base_months")
    op.drop_table("base_months")
    op.drop_column("customers", "clv")
    op.drop_column("customers", "booked")
