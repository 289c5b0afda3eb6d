"""What Alembic runs: always on the connection, and in the transaction, that `idp.store.schema` opened."""

from typing import Any

from alembic import context
from sqlalchemy.types import TypeDecorator

from idp.store.schema import default_differs


def plain_type(kind: str, item: Any, autogen_context: Any) -> str | bool:
    """A migration holds plain types, so that it still runs when the models have moved on."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl!r}"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=context.config.attributes.get("metadata"),
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=plain_type,
    compare_server_default=default_differs,
)
context.run_migrations()
