"""The tables of this release: all models together, and what `idp.store.schema` does with a database.

A model whose module is missing here has no table, and the comparison with the migrations tells.
"""

import idp.accounts.models
import idp.attempts.models
import idp.audit.trail
import idp.consents.models
import idp.factors.models
import idp.oidc.clients
import idp.oidc.models
import idp.outbox.models
import idp.sessions.models
import idp.signin.interaction  # noqa: F401 - imported for what they add to the metadata, as those before it
from idp.store import schema
from idp.store.base import Base
from idp.store.schema import current, head, pending, upgrade

__all__ = ["check", "current", "head", "metadata", "pending", "upgrade"]

metadata = Base.metadata


def check(url: str) -> list[str]:
    """What differs between the database and the models, one sentence each; empty when they agree."""
    return schema.check(url, metadata)
