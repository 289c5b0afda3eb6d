"""What may be used once: the `jti` of client assertions, DPoP proofs and request objects, across all nodes.

The database decides, by one INSERT: of a hundred at once one is the first.
"""

from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session as Unit

from idp.kernel.secrets import hash_secret
from idp.oidc.models import UsedIdentifier
from idp.store.dialects import insert_or

Kind = Literal["client_assertion", "dpop_proof", "request_object"]


def use(unit: Unit, kind: Kind, made_by: str, identifier: str, expires_at: datetime) -> bool:
    """True when nobody has used this identifier before; from now on somebody has.

    `made_by` is whoever chose it: a client, or the thumbprint of a key. After `expires_at` what carries it must be
    refused by its age, since nothing is remembered any longer than that and a day.
    """
    key = _key(kind, made_by, identifier)
    statement = insert_or(unit, UsedIdentifier).values(key=key, expires_at=expires_at)
    first = statement.on_conflict_do_nothing().returning(UsedIdentifier.key)
    return unit.execute(first).one_or_none() is not None


def is_used(unit: Unit, kind: Kind, made_by: str, identifier: str) -> bool:
    """True when somebody has used it. Decides nothing: only `use` does."""
    return unit.get(UsedIdentifier, _key(kind, made_by, identifier)) is not None


def _key(kind: Kind, made_by: str, identifier: str) -> bytes:
    # Lengths, so that no two triples are written alike.
    return hash_secret(f"{kind}:{len(made_by)}:{made_by}:{identifier}")
