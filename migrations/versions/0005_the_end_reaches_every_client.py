"""The end reaches every client: its front-channel address, the form of its tokens; indexes for sweep and deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NOT_ENDED = sa.text("ended_at IS NULL")
OPEN = sa.text("delivered_at IS NULL AND failed_at IS NULL")


def upgrade() -> None:
    with op.batch_alter_table("clients") as clients:
        clients.add_column(
            sa.Column("backchannel_logout_session_required", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        clients.add_column(sa.Column("frontchannel_logout_uri", sa.String(length=2000)))
        clients.add_column(
            sa.Column("frontchannel_logout_session_required", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        clients.add_column(
            sa.Column("access_token_format", sa.String(length=10), server_default="opaque", nullable=False)
        )
        clients.create_check_constraint(
            op.f("ck_clients_access_token_format_known"), "access_token_format IN ('opaque', 'jwt')"
        )

    op.drop_index("ix_outbox_messages_receiver", "outbox_messages")
    op.drop_index("ix_outbox_messages_due", "outbox_messages")
    op.create_index(
        "ix_outbox_messages_due", "outbox_messages", ["kind", "next_try_at"], sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_index(
        "ix_outbox_messages_at_receiver",
        "outbox_messages",
        ["receiver", "kind"],
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )

    op.drop_index("ix_sessions_idle_ends_at", "sessions")
    op.drop_index("ix_sessions_live", "sessions")
    op.create_index("ix_sessions_ended_at", "sessions", ["ended_at"])
    op.create_index(
        "ix_sessions_live_absolute",
        "sessions",
        ["absolute_ends_at"],
        sqlite_where=NOT_ENDED,
        postgresql_where=NOT_ENDED,
    )
    op.create_index(
        "ix_sessions_live_idle", "sessions", ["idle_ends_at"], sqlite_where=NOT_ENDED, postgresql_where=NOT_ENDED
    )
