"""What the pipeline answers with: values that a view turns into a page, or the next step works on."""

from dataclasses import dataclass
from datetime import datetime

from idp.accounts.models import Account
from idp.oidc.authorization_request import AuthorizationRequest
from idp.oidc.authorization_response import AuthorizationResponse
from idp.oidc.clients import Client
from idp.sessions.lifecycle import Opened
from idp.sessions.models import Session
from idp.signin.interaction import Interaction
from idp.signin.prompts import Pending
from idp.signin.situation import Enrolled, Situation

# The notice above a login form that has to be filled in again.
ONCE_MORE = "identify.notice.once_more"

# Where the browser goes when nothing is left to ask.
CONTINUE = "continue"


@dataclass(frozen=True)
class Browser:
    """What the browser holds: the secrets of its two cookies, if it has them. And how it speaks.

    `language` is what the person chose on our pages, `accepts` what the browser asks for; `device` is what it says it
    is, for mails that tell where from. `known_device` is the secret of the cookie by which we know it, if it has one.
    """

    session_secret: str | None = None
    binding: str | None = None
    language: str | None = None
    accepts: str = "nl"
    device: str = ""
    known_device: str | None = None


@dataclass(frozen=True)
class Begun:
    """An interaction is open; `binding` is the secret that the browser has to keep for it."""

    interaction_id: str
    prompt: str
    binding: str


@dataclass(frozen=True)
class Answered:
    """Nothing had to be asked: here is the response."""

    response: AuthorizationResponse


@dataclass(frozen=True)
class Closed:
    """The interaction cannot go on. `why`: unknown, foreign, expired, too_old, finished."""

    why: str
    interaction: Interaction | None = None
    client: Client | None = None


@dataclass(frozen=True)
class Look:
    """An interaction right now. `pending` is None when nothing is left to ask."""

    interaction: Interaction
    request: AuthorizationRequest
    client: Client
    situation: Situation
    pending: Pending | None
    account: Account | None
    """Whose password was proven here, or else the session's."""
    session: Session | None
    session_account: Account | None
    now: datetime

    @property
    def account_id(self) -> int | None:
        return self.account.id if self.account else None

    @property
    def pending_name(self) -> str:
        """The prompt that is pending; `continue` when nothing is left to ask."""
        return self.pending.name if self.pending else CONTINUE

    @property
    def credentials(self) -> tuple[Enrolled, ...]:
        return self.situation.person.enrolled if self.situation.person else ()


@dataclass(frozen=True)
class Advanced:
    """An answer was dealt with; the browser goes to `prompt`.

    `opened`: its session is new or has a new secret; then we know it by `known_device` from now on.
    """

    interaction_id: str
    prompt: str
    opened: Opened | None = None
    known_device: str | None = None


@dataclass(frozen=True)
class Completed:
    """The interaction is over and the client gets this response."""

    look: Look
    response: AuthorizationResponse


@dataclass(frozen=True)
class Left:
    """The client that was refused gets this response."""

    client: Client
    response: AuthorizationResponse


@dataclass(frozen=True)
class OutOfReach:
    """The client's own minimum cannot be reached: a page says so before the client hears `access_denied`."""

    look: Look
