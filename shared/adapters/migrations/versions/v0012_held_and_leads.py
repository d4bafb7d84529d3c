"""Which products each customer holds, and how leads came to pay."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep it beside the last score; who is known holds what the next one says, and is no lead."""
    op.add_column("customers", sa.Column("held", sa.Text()))
    op.add_column("customers", sa.Column("lead", sa.Text()))


def downgrade() -> None:
    """Keep neither."""
    op.drop_column("customers", "lead")
    op.drop_column("customers", "held")
