"""Clients that register themselves are held to what administrators decide; what strangers push goes soon."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("clients") as clients:
        clients.add_column(sa.Column("decided", sa.JSON(), server_default="[]", nullable=False))

    op.add_column("pushed_authorization_requests", sa.Column("begun_at", sa.DateTime(timezone=True)))
    # Whether an attempt waits for one of these nobody wrote down.
    op.execute("UPDATE pushed_authorization_requests SET begun_at = pushed_at")
