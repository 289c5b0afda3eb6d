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
    # Lengths, so that no two triples are written alike.
    named = f"{kind}:{len(made_by)}:{made_by}:{identifier}"
    statement = insert_or(unit, UsedIdentifier).values(key=hash_secret(named), expires_at=expires_at)
    first = statement.on_conflict_do_nothing().returning(UsedIdentifier.key)
    return unit.execute(first).one_or_none() is not None
