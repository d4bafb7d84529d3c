"""The first tables: what `shared.adapters.sql.tables` describes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _create_positions()
    _create_customers()
    _create_armings()
    _create_decisions()
    _create_outbox()
    _create_campaign_versions()


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "campaign_versions", "outbox", "decisions", "armings", "customers", "positions",
    ):  # fmt: skip
        op.drop_table(table)


def _sequence() -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("seq", kind, primary_key=True)


def _create_positions() -> None:
    op.create_table(
        "positions",
        sa.Column("topic", sa.String(249), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger()),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
    )


def _create_customers() -> None:
    op.create_table(
        "customers",
        sa.Column("customer", sa.String(128), primary_key=True),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("risk", sa.Float(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("origin_partition", sa.Integer(), nullable=False),
        sa.Column("origin_offset", sa.BigInteger(), nullable=False),
        sa.Column("origin_ordinal", sa.Integer(), nullable=False),
        sa.Column("score", sa.Text(), nullable=False),
    )
    op.create_index("customers_by_partition", "customers", ["partition"])
    op.create_index("customers_by_stage", "customers", ["stage"])


def _create_armings() -> None:
    op.create_table(
        "armings",
        sa.Column("customer", sa.String(128), primary_key=True),
        sa.Column("campaign", sa.String(64), primary_key=True),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("armed", sa.Boolean(), nullable=False),
        sa.Column("enrolled_at", sa.BigInteger()),
    )
    op.create_index("armings_by_partition", "armings", ["partition"])


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        _sequence(),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("customer", sa.String(128), nullable=False),
        sa.Column("campaign", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger()),
        sa.Column("record", sa.Text(), nullable=False),
    )
    op.create_index("decisions_by_id", "decisions", ["id"], unique=True)
    op.create_index("decisions_by_customer", "decisions", ["customer", "seq"])
    op.create_index("decisions_by_outcome", "decisions", ["campaign", "outcome", "seq"])


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        _sequence(),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(36)),
        sa.Column("letter", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("outbox_by_partition", "outbox", ["partition", "seq"])


def _create_campaign_versions() -> None:
    op.create_table(
        "campaign_versions",
        sa.Column("campaign", sa.String(64), primary_key=True),
        sa.Column("version", sa.String(64), primary_key=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("loaded_at", sa.BigInteger(), nullable=False),
    )
