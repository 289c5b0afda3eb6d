"""The `DPoP-Nonce` header: each response to a proof brings the nonce for the next one (RFC 9449 8.2 and 9)."""

from flask import Response, request

from idp.web.use_cases import use_cases

TAKING_PROOFS = frozenset(f"idp.{name}" for name in ("push", "token", "userinfo", "session_activity", "session_status"))


def set_nonce(response: Response) -> Response:
    """Whoever showed a proof knows the nonce that is good now, if nonces are demanded."""
    if request.endpoint in TAKING_PROOFS and "DPoP" in request.headers:
        nonce = use_cases().proofs.nonce
        if nonce is not None:
            response.headers["DPoP-Nonce"] = nonce
    return response
