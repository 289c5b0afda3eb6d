"""First tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempt_budgets",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("in_a_row", sa.Integer(), nullable=False),
        sa.Column("waits", sa.Integer(), nullable=False),
        sa.Column("waits_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_1_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_2_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_3_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_4_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("in_a_row >= 0 AND waits >= 0", name="ck_attempt_budgets_not_negative"),
        sa.PrimaryKeyConstraint("key", name="pk_attempt_budgets"),
    )
    op.create_index("ix_attempt_budgets_updated_at", "attempt_budgets", ["updated_at"])
    op.create_index("ix_attempt_budgets_waits_until", "attempt_budgets", ["waits_until"])

    op.create_table(
        "audit_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(length=60), nullable=False),
        sa.Column("request_code", sa.String(length=12), nullable=True),
        sa.Column("client_address", sa.String(length=45), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("organization_id", sa.Integer(), nullable=True),
        sa.Column("client_id", sa.String(length=200), nullable=True),
        sa.Column("sid", sa.String(length=64), nullable=True),
        sa.Column("interaction_id", sa.String(length=64), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
    )
    op.create_index("ix_audit_events_account_id", "audit_events", ["account_id"])
    op.create_index("ix_audit_events_at", "audit_events", ["at"])
    op.create_index("ix_audit_events_interaction_id", "audit_events", ["interaction_id"])
    op.create_index("ix_audit_events_request_code", "audit_events", ["request_code"])
    op.create_index("ix_audit_events_sid", "audit_events", ["sid"])
    op.create_index("ix_audit_events_type_at", "audit_events", ["type", "at"])

    op.create_table(
        "clients",
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("client_name", sa.String(length=200), nullable=False),
        sa.Column("client_secret_hash", sa.LargeBinary(), nullable=True),
        sa.Column("token_endpoint_auth_method", sa.String(length=40), nullable=False),
        sa.Column("application_type", sa.String(length=20), nullable=False),
        sa.Column("redirect_uris", sa.JSON(), nullable=False),
        sa.Column("post_logout_redirect_uris", sa.JSON(), nullable=False),
        sa.Column("grant_types", sa.JSON(), nullable=False),
        sa.Column("response_types", sa.JSON(), nullable=False),
        sa.Column("scope", sa.String(length=1000), nullable=False),
        sa.Column("id_token_signed_response_alg", sa.String(length=20), nullable=False),
        sa.Column("profile", sa.String(length=20), nullable=False),
        sa.Column("require_pkce", sa.Boolean(), nullable=False),
        sa.Column("session_activity", sa.String(length=20), nullable=False),
        sa.Column("minimum_acr", sa.Integer(), nullable=True),
        sa.Column("first_party", sa.Boolean(), nullable=False),
        sa.Column("client_uri", sa.String(length=2000), nullable=True),
        sa.Column("policy_uri", sa.String(length=2000), nullable=True),
        sa.Column("tos_uri", sa.String(length=2000), nullable=True),
        sa.Column("initiate_login_uri", sa.String(length=2000), nullable=True),
        sa.Column("backchannel_logout_uri", sa.String(length=2000), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(token_endpoint_auth_method = 'none') = (client_secret_hash IS NULL)",
            name="ck_clients_secret_iff_confidential",
        ),
        sa.CheckConstraint(
            "application_type IN ('web', 'browser', 'native')", name="ck_clients_application_type_known"
        ),
        sa.CheckConstraint("profile IN ('oidc', 'fapi2')", name="ck_clients_profile_known"),
        sa.CheckConstraint(
            "session_activity IN ('reported', 'token_refresh', 'none')", name="ck_clients_session_activity_known"
        ),
        sa.PrimaryKeyConstraint("client_id", name="pk_clients"),
    )
    op.create_table(
        "organizations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("org_code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("second_factor_required_from", sa.Date(), nullable=True),
        sa.Column("postpone_until", sa.Date(), nullable=True),
        sa.Column("email_allowed", sa.Boolean(), nullable=False),
        sa.Column("service_desk_phone", sa.String(length=40), nullable=True),
        sa.Column("service_desk_hours", sa.String(length=200), nullable=True),
        sa.Column("idle_timeout", sa.BigInteger(), nullable=True),
        sa.Column("absolute_timeout", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "postpone_until IS NULL OR (second_factor_required_from IS NOT NULL"
            " AND postpone_until >= second_factor_required_from)",
            name="ck_organizations_postpone_within_campaign",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_organizations"),
        sa.UniqueConstraint("org_code", name="uq_organizations_org_code"),
    )
    op.create_table(
        "outbox_messages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("receiver", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox_messages"),
    )
    op.create_index("ix_outbox_messages_due", "outbox_messages", ["delivered_at", "failed_at", "next_try_at"])
    op.create_index("ix_outbox_messages_receiver", "outbox_messages", ["receiver"])
    op.create_index("ix_outbox_messages_subject", "outbox_messages", ["subject"])

    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("alg", sa.String(length=20), nullable=False),
        sa.Column("public_jwk", sa.JSON(), nullable=False),
        sa.Column("private_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signs_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("alg IN ('RS256', 'ES256')", name="ck_signing_keys_alg_known"),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("username_shown", sa.String(length=128), nullable=False),
        sa.Column("sub", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("password_changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("given_name", sa.String(length=100), nullable=True),
        sa.Column("family_name", sa.String(length=100), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("locale", sa.String(length=10), nullable=True),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("proofs_void_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_sign_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_postponed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('person', 'service_desk', 'administrator')", name="ck_accounts_role_known"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_accounts_organization_id_organizations"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("organization_id", "username", name="uq_accounts_organization_id_username"),
        sa.UniqueConstraint("sub", name="uq_accounts_sub"),
    )
    op.create_index("ix_accounts_organization_id", "accounts", ["organization_id"])

    op.create_table(
        "consents",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("scope", sa.String(length=1000), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_consents_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", "client_id", name="pk_consents"),
    )
    op.create_table(
        "credentials",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=True),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "method IN ('totp', 'email', 'passkey', 'recovery_code')", name="ck_credentials_method_known"
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_credentials_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_credentials"),
    )
    op.create_index("ix_credentials_account_id", "credentials", ["account_id"])
    op.create_index(
        "uq_credentials_account_method_in_force",
        "credentials",
        ["account_id", "method"],
        unique=True,
        sqlite_where=sa.text("withdrawn_at IS NULL AND method IN ('totp', 'email')"),
        postgresql_where=sa.text("withdrawn_at IS NULL AND method IN ('totp', 'email')"),
    )

    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("amr", sa.JSON(), nullable=False),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_activity_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("idle_timeout", sa.BigInteger(), nullable=False),
        sa.Column("idle_ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("absolute_ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("postponed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(length=40), nullable=True),
        sa.CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="ck_sessions_end_has_reason"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_sessions_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("secret_hash", name="uq_sessions_secret_hash"),
        sa.UniqueConstraint("sid", name="uq_sessions_sid"),
    )
    op.create_index("ix_sessions_account_id", "sessions", ["account_id"])
    op.create_index("ix_sessions_idle_ends_at", "sessions", ["idle_ends_at"])
    op.create_index("ix_sessions_live", "sessions", ["ended_at", "last_activity_at"])

    op.create_table(
        "access_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("grant_id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("scope", sa.String(length=1000), nullable=False),
        sa.Column("claims", sa.JSON(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_access_tokens_account_id_accounts"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_access_tokens_client_id_clients"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="fk_access_tokens_session_id_sessions"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_access_tokens"),
    )
    op.create_index("ix_access_tokens_account_id", "access_tokens", ["account_id"])
    op.create_index("ix_access_tokens_expires_at", "access_tokens", ["expires_at"])
    op.create_index("ix_access_tokens_grant_id", "access_tokens", ["grant_id"])
    op.create_index("ix_access_tokens_session_id", "access_tokens", ["session_id"])

    op.create_table(
        "authorization_codes",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("grant_id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("redirect_uri", sa.String(length=2000), nullable=False),
        sa.Column("code_challenge", sa.String(length=128), nullable=True),
        sa.Column("scope", sa.String(length=1000), nullable=False),
        sa.Column("nonce", sa.String(length=2000), nullable=True),
        sa.Column("requested_acr", sa.JSON(), nullable=False),
        sa.Column("claims", sa.JSON(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("amr", sa.JSON(), nullable=False),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_authorization_codes_account_id_accounts"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_authorization_codes_client_id_clients"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="fk_authorization_codes_session_id_sessions"),
        sa.PrimaryKeyConstraint("code_hash", name="pk_authorization_codes"),
        sa.UniqueConstraint("grant_id", name="uq_authorization_codes_grant_id"),
    )
    op.create_index("ix_authorization_codes_account_id", "authorization_codes", ["account_id"])
    op.create_index("ix_authorization_codes_client_id", "authorization_codes", ["client_id"])
    op.create_index("ix_authorization_codes_expires_at", "authorization_codes", ["expires_at"])
    op.create_index("ix_authorization_codes_session_id", "authorization_codes", ["session_id"])

    op.create_table(
        "interactions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_activity_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("password_proven_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("factor_method", sa.String(length=20), nullable=True),
        sa.Column("factor_level", sa.Integer(), nullable=True),
        sa.Column("factor_amr", sa.JSON(), nullable=False),
        sa.Column("postponed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("consented", sa.Boolean(), nullable=False),
        sa.Column("account_chosen", sa.Boolean(), nullable=False),
        sa.Column("names_another_account", sa.Boolean(), nullable=False),
        sa.Column("leaves_session", sa.Boolean(), nullable=False),
        sa.Column("enrolling_method", sa.String(length=20), nullable=True),
        sa.Column("enrolling_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("enrolment_failures", sa.Integer(), nullable=False),
        sa.Column("postpone_asked", sa.Boolean(), nullable=False),
        sa.Column("typed_organisation", sa.String(length=256), nullable=False),
        sa.Column("typed_username", sa.String(length=256), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_how", sa.String(length=40), nullable=True),
        sa.CheckConstraint("account_id IS NOT NULL OR factor_level IS NULL", name="ck_interactions_factor_has_account"),
        sa.CheckConstraint(
            "account_id IS NOT NULL OR password_proven_at IS NULL", name="ck_interactions_password_has_account"
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_interactions_account_id_accounts"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_interactions_client_id_clients"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="fk_interactions_session_id_sessions"),
        sa.PrimaryKeyConstraint("id", name="pk_interactions"),
    )
    op.create_index("ix_interactions_account_id", "interactions", ["account_id"])
    op.create_index("ix_interactions_client_id", "interactions", ["client_id"])
    op.create_index("ix_interactions_last_activity_at", "interactions", ["last_activity_at"])
    op.create_index("ix_interactions_session_id", "interactions", ["session_id"])

    op.create_table(
        "participations",
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="fk_participations_session_id_sessions"),
        sa.PrimaryKeyConstraint("session_id", "client_id", name="pk_participations"),
    )
    op.create_table(
        "refresh_families",
        sa.Column("grant_id", sa.String(length=64), nullable=False),
        sa.Column("handle_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("scope", sa.String(length=1000), nullable=False),
        sa.Column("requested_acr", sa.JSON(), nullable=False),
        sa.Column("claims", sa.JSON(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("amr", sa.JSON(), nullable=False),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_because", sa.String(length=40), nullable=True),
        sa.CheckConstraint("generation >= 0", name="ck_refresh_families_generation_not_negative"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_refresh_families_account_id_accounts"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_refresh_families_client_id_clients"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="fk_refresh_families_session_id_sessions"),
        sa.PrimaryKeyConstraint("grant_id", name="pk_refresh_families"),
        sa.UniqueConstraint("handle_hash", name="uq_refresh_families_handle_hash"),
    )
    op.create_index("ix_refresh_families_account_id", "refresh_families", ["account_id"])
    op.create_index("ix_refresh_families_client_id", "refresh_families", ["client_id"])
    op.create_index("ix_refresh_families_expires_at", "refresh_families", ["expires_at"])
    op.create_index("ix_refresh_families_session_id", "refresh_families", ["session_id"])
