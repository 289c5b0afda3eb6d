"""What can go wrong, by who can act on it.

Three audiences, three fields: a message key for the person, `description` for the client's developer, `detail` for the
log. An expected "no" of a check or a factor is a value, not an exception.
"""

from collections.abc import Sequence
from datetime import timedelta


class IdpError(Exception):
    """Base of every error that idp raises on purpose."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class Refused(IdpError):
    """The person (or administrator) can act: `message_key` names the sentence that says how."""

    def __init__(self, message_key: str, detail: str = "") -> None:
        super().__init__(detail or message_key)
        self.message_key = message_key


class Throttled(IdpError):
    """Too many tries; `retry_after` from now a next one is taken."""

    def __init__(self, retry_after: timedelta, message_key: str = "error.throttled", detail: str = "") -> None:
        super().__init__(detail or message_key)
        self.retry_after = retry_after
        self.message_key = message_key


class ProtocolError(IdpError):
    """An OAuth error: `error` is the code of the specification, `description` is for the client's developer.

    Whether it may travel to the client or is shown to the end-user is a property of where it was raised:
    see `idp.oidc.errors`.
    """

    def __init__(self, error: str, description: str = "", detail: str = "") -> None:
        super().__init__(detail or description)
        self.error = error
        self.description = description


class Misconfigured(IdpError):
    """Start-up only: every problem of the configuration, one sentence each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
