"""What an access token opens here: userinfo, and a session for its application. How a request must show its token.

    Bearer    in the `Authorization` header, or in a form body                                (RFC 6750 2)
    DPoP      in the `Authorization` header, with a proof of the key that it is bound to      (RFC 9449 7.1)

A token is shown in one way, and a bound one in no other than the second: as a bearer token it would be worth as much to
who copied it (RFC 9449 7.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from idp.kernel.errors import ProtocolError
from idp.oidc.access_token import AccessTokens, LiveAccessToken
from idp.oidc.dpop import ALGORITHMS, InvalidDpopProof, Proofs
from idp.store.units import UnitsOfWork

Scheme = Literal["Bearer", "DPoP"]
SCHEMES: Sequence[Scheme] = ("Bearer", "DPoP")


class AccessTokenError(ProtocolError):
    """401, 403 or 400 with a challenge for each scheme; the one that was tried names the error (RFC 6750 3, RFC 9449
    7.1).
    """

    def __init__(self, status: int, error: str, description: str, scheme: Scheme = "Bearer") -> None:
        super().__init__(error, description)
        self.status, self.scheme = status, scheme

    def challenge(self, realm: str) -> str:
        """The value of the `WWW-Authenticate` header, which names no error without any credentials (RFC 6750 3.1).

        Both schemes stand in one header, the one that was tried first: some clients read one header only.
        """
        first, second = sorted(SCHEMES, key=lambda each: each != self.scheme)
        return f"{self._challenge(first, realm)}, {self._challenge(second, realm)}"

    def _challenge(self, scheme: Scheme, realm: str) -> str:
        said = f'{scheme} realm="{realm}"'
        if self.error and scheme == self.scheme:
            said += f', error="{self.error}", error_description="{self.description}"'
        return said + (f', algs="{" ".join(ALGORITHMS)}"' if scheme == "DPoP" else "")


class InvalidToken(AccessTokenError):
    """401: the token is not good, or not in this way."""

    def __init__(
        self, description: str = "the access token is unknown, expired or revoked", scheme: Scheme = "Bearer"
    ) -> None:
        super().__init__(401, "invalid_token", description, scheme)


@dataclass(frozen=True)
class ResourceRequest:
    """A request for something that an access token opens, as it came; `path` stands below the issuer."""

    method: str
    path: str
    authorization: str | None
    dpop: str | None
    in_body: str | None = None
    in_query: str | None = None


@dataclass(frozen=True)
class Shown:
    """An access token, and the scheme that it was shown with."""

    token: str
    scheme: Scheme


def in_authorization(authorization: str | None) -> Shown | None:
    """The token of the header, whose scheme is written in whatever case; None when it holds anything else."""
    scheme, _, credentials = (authorization or "").partition(" ")
    for known in SCHEMES:
        if scheme.lower() == known.lower():
            return Shown(credentials.strip(), known)
    return None


def shown(request: ResourceRequest) -> Shown:
    """The one access token of a request. Raises AccessTokenError for none, several, or one in the query (RFC 9700
    4.3.2).
    """
    in_header = in_authorization(request.authorization)
    if request.in_query is not None:
        raise AccessTokenError(400, "invalid_request", "an access token does not belong into the query")
    if in_header is not None and request.in_body is not None:
        raise AccessTokenError(400, "invalid_request", "the access token was sent more than once")
    found = in_header or Shown(request.in_body or "", "Bearer")
    if not found.token:
        raise AccessTokenError(401, "", "")
    return found


class ProtectedResources:
    """Lets requests with access tokens in."""

    def __init__(self, units: UnitsOfWork, access_tokens: AccessTokens, proofs: Proofs) -> None:
        self._units, self._access_tokens, self._proofs = units, access_tokens, proofs

    def admit(self, request: ResourceRequest) -> LiveAccessToken:
        """What the token of the request stands for, rightly shown; a proof that came with it is used up.

        Raises AccessTokenError, from the very instant at which the token or its session is over.
        """
        presented = shown(request)
        found = self._access_tokens.find_for_us(presented.token)
        if found is None:
            raise InvalidToken(scheme=presented.scheme)
        bound_to = found.token.dpop_jkt
        if presented.scheme == "Bearer":
            if bound_to is not None:
                raise InvalidToken("the access token is bound to a key: it is shown with the scheme DPoP")
            return found
        if bound_to is None:
            raise InvalidToken("the access token is bound to no key: it is shown with the scheme Bearer", "DPoP")
        try:
            self._prove(request, found, presented.token, bound_to)
        except InvalidDpopProof as error:
            raise AccessTokenError(401, error.error, error.description, "DPoP") from error
        return found

    def _prove(self, request: ResourceRequest, found: LiveAccessToken, token: str, bound_to: str) -> None:
        if request.dpop is None:
            raise InvalidDpopProof("a DPoP proof is required")
        proof = self._proofs.verified(request.dpop, found.client, request.method, request.path, token)
        if proof.jkt != bound_to:
            raise InvalidToken("the access token is bound to another key", "DPoP")
        with self._units.writing() as unit:
            self._proofs.use(unit, proof)
