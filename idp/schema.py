"""All tables: a model whose module is missing here has no table, and the comparison with the migrations tells."""

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
from idp.store.base import Base

metadata = Base.metadata
