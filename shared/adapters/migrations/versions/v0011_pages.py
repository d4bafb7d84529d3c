"""The customers of a partition in the order of their ids, so that a sweep reads only its page."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the index of partitions tell that order."""
    op.drop_index("customers_by_partition", "customers")
    op.create_index("customers_by_partition", "customers", ["partition", "customer"])


def downgrade() -> None:
    """Let it tell the partition alone."""
    op.drop_index("customers_by_partition", "customers")
    op.create_index("customers_by_partition", "customers", ["partition"])
