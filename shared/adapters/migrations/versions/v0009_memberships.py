"""Who is in which segment by conditions, and entries and exits on their way to Kafka."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both tables, and what the outbox needs for entries and exits."""
    op.create_table(
        "memberships",
        sa.Column("customer", sa.String(128), primary_key=True),
        sa.Column("segment", sa.String(160), primary_key=True),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("member", sa.Boolean(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
    )
    op.create_index("memberships_by_partition", "memberships", ["partition"])
    op.create_index("memberships_by_segment", "memberships", ["segment", "member"])
    op.create_table(
        "sweeps",
        sa.Column("partition", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("definitions", sa.String(64), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("after", sa.String(128)),
    )
    op.add_column("outbox", sa.Column("customer", sa.String(128)))
    op.add_column("outbox", sa.Column("change", sa.Text()))
    op.create_index("outbox_by_customer", "outbox", ["customer"])


def downgrade() -> None:
    """Drop all of it; entries and exits that Kafka does not have are lost."""
    op.execute("DELETE FROM outbox WHERE change IS NOT NULL")
    op.drop_index("outbox_by_customer", "outbox")
    op.drop_column("outbox", "change")
    op.drop_column("outbox", "customer")
    op.drop_table("sweeps")
    op.drop_table("memberships")
