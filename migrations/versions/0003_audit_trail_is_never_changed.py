"""The database itself refuses to change a row of the audit trail or of its chain.

Deleting is left to the chain, which tells it, because old events have to go. A later migration that replaces one of
these tables on SQLite (a batch operation) has to make its trigger again.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("audit_events", "audit_chain")
REFUSAL = "rows of the audit trail are never changed"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION idp_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$BEGIN RAISE EXCEPTION '{REFUSAL}'; END$$"
        )
        for table in TABLES:
            op.execute(
                f"CREATE TRIGGER {table}_are_never_changed BEFORE UPDATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION idp_refuse_change()"
            )
        return
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_are_never_changed BEFORE UPDATE ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
