"""The second step complete: codes by mail, resets, known devices, campaign mails, the chain of the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_chain",
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_audit_chain"),
        sa.UniqueConstraint("event_id", name="uq_audit_chain_event_id"),
    )
    op.create_table(
        "event_counts",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("window_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("number >= 0", name="ck_event_counts_not_negative"),
        sa.PrimaryKeyConstraint("key", name="pk_event_counts"),
    )
    op.create_index("ix_event_counts_updated_at", "event_counts", ["updated_at"])

    op.create_table(
        "organization_logos",
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("variant", sa.String(length=10), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.CheckConstraint("variant IN ('light', 'dark')", name="ck_organization_logos_variant_known"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_organization_logos_organization_id_organizations"
        ),
        sa.PrimaryKeyConstraint("organization_id", "variant", name="pk_organization_logos"),
    )
    op.create_index("ix_organization_logos_digest", "organization_logos", ["digest"])

    op.create_table(
        "campaign_mails",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("days_before", sa.Integer(), nullable=False),
        sa.Column("enqueued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_campaign_mails_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", "last_day", "days_before", name="pk_campaign_mails"),
    )
    op.create_table(
        "known_devices",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("device_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_known_devices_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", "device_hash", name="pk_known_devices"),
    )
    op.create_index("ix_known_devices_last_used_at", "known_devices", ["last_used_at"])

    op.create_table(
        "resets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("caller_checked", sa.String(length=200), nullable=False),
        sa.Column("restores", sa.JSON(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_resets_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_resets"),
    )
    op.create_index("ix_resets_account_id", "resets", ["account_id"])

    op.create_table(
        "sent_codes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("address_hash", sa.LargeBinary(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("purpose IN ('enrolment', 'verification')", name="ck_sent_codes_purpose_known"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_sent_codes_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_sent_codes"),
    )
    op.create_index("ix_sent_codes_account_created", "sent_codes", ["account_id", "created_at"])
    op.create_index("ix_sent_codes_address_created", "sent_codes", ["address_hash", "created_at"])
    op.create_index("ix_sent_codes_expires_at", "sent_codes", ["expires_at"])

    op.add_column("accounts", sa.Column("postpone_extended_until", sa.Date(), nullable=True))
    op.add_column("accounts", sa.Column("reset_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("accounts", sa.Column("enrolment_open_until", sa.DateTime(timezone=True), nullable=True))

    op.add_column("audit_events", sa.Column("actor", sa.String(length=100), nullable=True))

    op.add_column("credentials", sa.Column("address", sa.String(length=254), nullable=True))
    op.add_column("credentials", sa.Column("withdrawn_by_reset_id", sa.Integer(), nullable=True))
    op.create_index("ix_credentials_withdrawn_by_reset_id", "credentials", ["withdrawn_by_reset_id"])

    op.add_column("interactions", sa.Column("verifying_method", sa.String(length=20), nullable=True))
    op.add_column("interactions", sa.Column("notice", sa.String(length=60), nullable=True))
    op.add_column("interactions", sa.Column("factor_proven_at", sa.DateTime(timezone=True), nullable=True))

    op.add_column("sessions", sa.Column("factor_proven_at", sa.DateTime(timezone=True), nullable=True))

    op.add_column("organizations", sa.Column("service_desk_email", sa.String(length=254), nullable=True))
    op.add_column("organizations", sa.Column("brand_colour", sa.String(length=7), nullable=True))
    op.add_column("organizations", sa.Column("privacy_uri", sa.String(length=500), nullable=True))
    op.add_column("organizations", sa.Column("texts", sa.JSON(), nullable=True))

    op.add_column("outbox_messages", sa.Column("payload_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("outbox_messages", sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("outbox_messages", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
