"""Whether an error may travel is a property of the error.

ShownToEndUser   client or redirect URI are not known to be right: a page, never a redirect (RFC 6749 4.1.2.1)
SentToClient     both are: the client gets the error at its redirect URI, with its `state` and our `iss`
NotAccepted      what was found wrong before either was looked at; whoever reads the request decides which of them it is
"""

import re

from idp.kernel.errors import ProtocolError

# RFC 6749 4.1.2.1 and 5.2: what `error_description` may contain.
_NOT_ALLOWED = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


def plain_description(text: str) -> str:
    """The text with everything that the specification does not allow in a description replaced by `?`."""
    return _NOT_ALLOWED.sub("?", text)[:500]


class ShownToEndUser(ProtocolError):
    """A page for the person; the developer's part of it says `description`."""


class NotAccepted(ProtocolError):
    """Something is wrong with a request, and it is not decided yet who hears of it."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error, plain_description(description))


class SentToClient(ProtocolError):
    """An error response at a redirect URI that is registered for the client."""

    def __init__(
        self, error: str, description: str, *, client_id: str, redirect_uri: str, response_mode: str, state: str | None
    ) -> None:
        super().__init__(error, plain_description(description))
        self.client_id = client_id
        self.redirect_uri = redirect_uri
        self.response_mode = response_mode
        self.state = state
