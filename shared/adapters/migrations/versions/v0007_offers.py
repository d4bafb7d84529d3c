"""Several offers in a campaign, and what else is measured of its units."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BEFORE = ("clv", "accepted", "complaints", "offer", "context", "acceptance_cost")
_AFTER = ("clv_gained", "has_accepted", "has_complained", "rating")


def upgrade() -> None:
    """Add both tables, and the columns; of units from before they are not known."""
    for name, kind, default in (
        ("clv", sa.Float(), "0"),
        ("accepted", sa.Integer(), "0"),
        ("complaints", sa.Integer(), "0"),
        ("offer", sa.String(64), ""),
        ("context", sa.String(160), ""),
        ("acceptance_cost", sa.Float(), "0"),
    ):
        op.add_column("units", sa.Column(name, kind, nullable=False, server_default=default))
    for name, known in (
        ("clv_gained", sa.Float()),
        ("has_accepted", sa.Boolean()),
        ("has_complained", sa.Boolean()),
        ("rating", sa.Float()),
    ):
        op.add_column("units", sa.Column(name, known))
    op.create_table(
        "offer_tallies",
        sa.Column("campaign", sa.String(64), primary_key=True),
        sa.Column("context", sa.String(160), primary_key=True),
        sa.Column("offer", sa.String(64), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("retained", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "offer_states",
        sa.Column("campaign", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("tallies", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    """Drop all of it."""
    op.drop_table("offer_states")
    op.drop_table("offer_tallies")
    for name in (*_AFTER, *_BEFORE):
        op.drop_column("units", name)
