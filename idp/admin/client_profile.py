"""What the security profile of a client demands of its registration: nothing for `oidc`; for `fapi2` what the FAPI 2.0
Security Profile says in 5.3.2 and 5.4, with what `client_credentials` says of authentication. That `iss` is in each
authorization response (RFC 9207) needs no registration: everybody gets it.
"""

from idp.admin.refusals import Reasons
from idp.oidc.clients import PROFILES, Client
from idp.oidc.dpop import ALGORITHMS_OF


def follow(client: Client) -> None:
    """What the profile demands of requests and tokens is switched on."""
    if client.profile == "fapi2":
        client.require_pkce = client.require_pushed_authorization_requests = client.dpop_bound_access_tokens = True


def check(client: Client, wrong: Reasons) -> None:
    """Adds everything that does not fit the profile. Raises Refused for an unknown one: nothing fits that."""
    if client.profile not in PROFILES:
        wrong.add("client.profile", f"profile is one of {', '.join(PROFILES)}")
        wrong.raise_any()
    if client.profile != "fapi2":
        return
    demands = (
        ("pushed_requests", client.require_pushed_authorization_requests, "pushes its authorization requests"),
        ("pkce", client.require_pkce, "uses PKCE"),
        ("dpop", client.dpop_bound_access_tokens, "has its access tokens bound to a key (DPoP)"),
    )
    for name, holds, demand in demands:
        wrong.unless(holds, f"client.fapi2_{name}", f"a fapi2 client {demand}")
    signed = (
        client.id_token_signed_response_alg,
        client.userinfo_signed_response_alg,
        client.introspection_signed_response_alg,
    )
    wrong.unless(
        all(alg is None or alg in ALGORITHMS_OF["fapi2"] for alg in signed),
        "client.fapi2_signing_algorithm",
        f"what is signed for a fapi2 client is signed by {', '.join(ALGORITHMS_OF['fapi2'])}",
    )
