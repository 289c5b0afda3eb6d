"""The protocol grows: keys and wishes of clients, pushed requests, bound tokens, registration by clients themselves."""

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _new_tables()
    with op.batch_alter_table("clients") as clients:
        for column in _columns_of_clients():
            clients.add_column(column)
        # Looser than before for what the release before this one writes.
        clients.drop_constraint(op.f("ck_clients_secret_iff_confidential"), type_="check")
        clients.create_check_constraint(
            op.f("ck_clients_secret_iff_used"),
            "(token_endpoint_auth_method IN ('none', 'private_key_jwt')) = (client_secret_hash IS NULL)",
        )
        clients.create_check_constraint(
            op.f("ck_clients_sealed_secret_iff_hmac"),
            "(token_endpoint_auth_method = 'client_secret_jwt') = (client_secret_sealed IS NOT NULL)",
        )
        clients.create_check_constraint(op.f("ck_clients_keys_in_one_place"), "jwks IS NULL OR jwks_uri IS NULL")
        clients.create_check_constraint(op.f("ck_clients_subject_type_known"), "subject_type IN ('public', 'pairwise')")
        clients.create_index(op.f("ix_clients_registered_with"), ["registered_with"])
        clients.create_foreign_key(
            op.f("fk_clients_registered_with_initial_access_tokens"),
            "initial_access_tokens",
            ["registered_with"],
            ["id"],
        )

    with op.batch_alter_table("authorization_codes") as codes:
        _bound_and_for_resources(codes, "resources")
    with op.batch_alter_table("refresh_families") as families:
        _bound_and_for_resources(families, "resources")
    with op.batch_alter_table("access_tokens") as tokens:
        _bound_and_for_resources(tokens, "audience")
        tokens.alter_column("account_id", existing_type=sa.Integer(), nullable=True)
        tokens.create_index(op.f("ix_access_tokens_client_id"), ["client_id"])

    with op.batch_alter_table("signing_keys") as keys:
        keys.drop_constraint(op.f("ck_signing_keys_alg_known"), type_="check")
        keys.create_check_constraint(op.f("ck_signing_keys_alg_known"), "alg IN ('RS256', 'PS256', 'ES256', 'EdDSA')")


def _new_tables() -> None:
    op.create_table(
        "initial_access_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("uses_left", sa.Integer()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("uses_left >= 0", name=op.f("ck_initial_access_tokens_uses_left_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_initial_access_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_initial_access_tokens_token_hash")),
    )
    op.create_table(
        "used_identifiers",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_used_identifiers")),
    )
    op.create_index(op.f("ix_used_identifiers_expires_at"), "used_identifiers", ["expires_at"])
    op.create_table(
        "pushed_authorization_requests",
        sa.Column("request_uri_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("pushed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.client_id"], name=op.f("fk_pushed_authorization_requests_client_id_clients")
        ),
        sa.PrimaryKeyConstraint("request_uri_hash", name=op.f("pk_pushed_authorization_requests")),
    )
    for column in ("client_id", "expires_at"):
        name = op.f(f"ix_pushed_authorization_requests_{column}")
        op.create_index(name, "pushed_authorization_requests", [column])


def _columns_of_clients() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("client_secret_sealed", sa.LargeBinary()),
        sa.Column("jwks", sa.JSON()),
        sa.Column("jwks_uri", sa.String(length=2000)),
        sa.Column("token_endpoint_auth_signing_alg", sa.String(length=20)),
        sa.Column("request_object_signing_alg", sa.String(length=20)),
        _no("require_signed_request_object"),
        _no("require_pushed_authorization_requests"),
        _empty_list("request_uris"),
        sa.Column("default_max_age_seconds", sa.Integer()),
        _no("require_auth_time"),
        _empty_list("default_acr_values"),
        _no("dpop_bound_access_tokens"),
        _empty_list("resources"),
        sa.Column("userinfo_signed_response_alg", sa.String(length=20)),
        sa.Column("introspection_signed_response_alg", sa.String(length=20)),
        sa.Column("subject_type", sa.String(length=20), server_default="public", nullable=False),
        sa.Column("sector_identifier_uri", sa.String(length=2000)),
        sa.Column("sector_identifier", sa.String(length=255)),
        _empty_list("contacts"),
        sa.Column("logo_uri", sa.String(length=2000)),
        sa.Column("logo", sa.LargeBinary()),
        sa.Column("localized", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("software_id", sa.String(length=200)),
        sa.Column("software_version", sa.String(length=200)),
        sa.Column("registration_access_token_hash", sa.LargeBinary()),
        sa.Column("registered_with", sa.Integer()),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
    )


def _no(name: str) -> "sa.Column[bool]":
    return sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False)


def _empty_list(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.JSON(), server_default="[]", nullable=False)


def _bound_and_for_resources(table: BatchOperations, resources: str) -> None:
    table.add_column(sa.Column("dpop_jkt", sa.String(length=64)))
    table.add_column(_empty_list(resources))
