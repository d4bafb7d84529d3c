"""Budgets, what people decide about campaigns, and the log of it, which cannot be changed."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_REFUSAL: Final = "the audit log is only added to"
_ON_POSTGRESQL: Final = (
    f"""
    CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$
    """,
    """
    CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept()
    """,
)
_ON_SQLITE: Final = tuple(
    f"""
    CREATE TRIGGER audit_refuses_{change} BEFORE {change} ON audit
    BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END
    """
    for change in ("update", "delete")
)


def upgrade() -> None:
    """Create the tables, and let versions know their author."""
    op.create_table(
        "budgets",
        sa.Column("scope", sa.String(80), primary_key=True),
        sa.Column("period", sa.String(16), primary_key=True),
        sa.Column("partition", sa.Integer(), primary_key=True),
        sa.Column("lent", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
    )
    op.create_table("holds", _text("campaign", 64), *_decided())
    op.create_table("suppressions", _text("customer", 128), *_decided())
    op.create_table(
        "approvals",
        _text("campaign", 64),
        _text("version", 64),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "audit",
        sa.Column("seq", number, primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    for statement in _ON_POSTGRESQL if _on_postgresql() else _ON_SQLITE:
        op.execute(statement)
    op.add_column("campaign_versions", sa.Column("author", sa.String(64)))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("campaign_versions", "author")
    for table in ("audit", "approvals", "suppressions", "holds", "budgets"):
        op.drop_table(table)
    if _on_postgresql():
        op.execute("DROP FUNCTION audit_is_kept()")


def _on_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), primary_key=True)


def _decided() -> tuple[sa.Column[str], sa.Column[int], sa.Column[str]]:
    return (
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
