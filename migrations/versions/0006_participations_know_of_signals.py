"""Administrators learn whether a client ever tells that its user is active, as it is registered to."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("participations", sa.Column("signalled_at", sa.DateTime(timezone=True)))
    op.create_index("ix_participations_client_id", "participations", ["client_id", "joined_at"])
