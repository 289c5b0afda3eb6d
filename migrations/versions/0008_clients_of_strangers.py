"""Clients that register themselves are held to what administrators decide; what strangers push goes soon."""

from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("clients") as clients:
        clients.add_column(sa.Column("decided", sa.JSON(), server_default="[]", nullable=False))
        # Those that are there stay.
        clients.add_column(sa.Column("unused_until", sa.DateTime(timezone=True)))
        clients.create_index(op.f("ix_clients_unused_until"), ["unused_until"])

    origins = op.create_table(
        "client_origins",
        sa.Column("origin", sa.String(length=2000), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["clients.client_id"],
            name=op.f("fk_client_origins_client_id_clients"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("origin", "client_id", name=op.f("pk_client_origins")),
    )
    op.create_index(op.f("ix_client_origins_client_id"), "client_origins", ["client_id"])
    _fill(origins)

    # Before a client is deleted somebody asks whether anybody allowed it anything.
    op.create_index(op.f("ix_consents_client_id"), "consents", ["client_id"])

    op.add_column("pushed_authorization_requests", sa.Column("begun_at", sa.DateTime(timezone=True)))
    # Whether an attempt waits for one of these nobody wrote down.
    op.execute("UPDATE pushed_authorization_requests SET begun_at = pushed_at")


def _fill(origins: sa.Table) -> None:
    """The origins of the browser applications that there are, as browsers write them (RFC 6454 6.2)."""
    clients = sa.table(
        "clients",
        sa.column("client_id", sa.String),
        sa.column("application_type", sa.String),
        sa.column("redirect_uris", sa.JSON),
        sa.column("deleted_at", sa.DateTime),
    )
    query = sa.select(clients.c.client_id, clients.c.redirect_uris)
    there = query.where(clients.c.application_type == "browser", clients.c.deleted_at.is_(None))
    rows = [
        {"client_id": client_id, "origin": origin}
        for client_id, uris in op.get_bind().execute(there).all()
        for origin in sorted({_origin(uri) for uri in uris} - {""})
    ]
    if rows:
        op.bulk_insert(origins, rows)


def _origin(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_implied = parts.port in (None, {"https": 443, "http": 80}[parts.scheme])
    return f"{parts.scheme}://{host}" + ("" if is_implied else f":{parts.port}")
