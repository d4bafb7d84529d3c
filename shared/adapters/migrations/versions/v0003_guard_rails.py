"""How often a customer was enrolled, and decisions by outcome and time: what caps count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COUNT = """
    UPDATE armings SET enrolments = (
        SELECT count(*) FROM decisions
        WHERE decisions.customer = armings.customer AND decisions.campaign = armings.campaign
        AND decisions.outcome IN ('fired', 'held_out')
    )
"""


def upgrade() -> None:
    """Add the column and the index, and count what was."""
    enrolments = sa.Column("enrolments", sa.Integer(), nullable=False, server_default="0")
    op.add_column("armings", enrolments)
    op.create_index("decisions_by_time", "decisions", ["outcome", "at"])
    op.execute(_COUNT)


def downgrade() -> None:
    """Drop both."""
    op.drop_index("decisions_by_time", "decisions")
    op.drop_column("armings", "enrolments")
