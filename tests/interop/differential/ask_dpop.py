"""Proofs of keys (RFC 9449), right and wrong, at the token endpoint and at userinfo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from requests import Response

from tests.interop.differential.ask_pushed import ENDPOINT as PUSH
from tests.interop.differential.ask_token import refresh
from tests.interop.differential.normal_form import Answer, answered
from tests.interop.differential.question import Question
from tests.interop.differential.site import VERIFIER, Site
from tests.proofs import ProofKey, ath, signed_by_hmac

SHOWN = ("token_type",)
KEYS = {alg: ProofKey(alg) for alg in ("ES256", "RS256", "PS256", "EdDSA")}
KEY = KEYS["ES256"]
OTHER = ProofKey()
Proves = Callable[[Site, str, str, str | None], str]


def _changed(header: Mapping[str, Any] | None = None, key: ProofKey = KEY, /, **changes: Any) -> Proves:
    """A proof with changes to its header and claims; None leaves a member out."""

    def proof(site: Site, method: str, endpoint: str, token: str | None) -> str:
        right = key.claims(method, site.address(endpoint), site.now())
        if token is not None:
            right = _claims_of(site, key, method, endpoint, token)
        claims = {name: value for name, value in {**right, **changes}.items() if value is not None}
        return key.signed(key.header(**(header or {})), claims)

    return proof


def _claims_of(site: Site, key: ProofKey, method: str, endpoint: str, token: str) -> dict[str, Any]:
    return key.claims(method, site.address(endpoint), site.now(), ath=ath(token))


def _later(seconds: int) -> Proves:
    def proof(site: Site, method: str, endpoint: str, token: str | None) -> str:
        return _changed(iat=site.seconds(seconds))(site, method, endpoint, token)

    return proof


def _address(change: Callable[[str], str]) -> Proves:
    def proof(site: Site, method: str, endpoint: str, token: str | None) -> str:
        return _changed(htu=change(site.address(endpoint)))(site, method, endpoint, token)

    return proof


def _by_hmac(site: Site, method: str, endpoint: str, token: str | None) -> str:
    claims = KEY.claims(method, site.address(endpoint), site.now())
    return signed_by_hmac(b"x" * 32, KEY.header(alg="HS256"), claims)


def _cut(site: Site, method: str, endpoint: str, token: str | None) -> str:
    return _changed()(site, method, endpoint, token)[:-10]


def _says(value: str) -> Proves:
    return lambda site, method, endpoint, token: value


PROOFS: Mapping[str, Proves] = {
    **{f"right-{alg.lower()}": _changed(None, key) for alg, key in KEYS.items()},
    "empty": _says(""),
    "nonsense": _says("nonsense"),
    "no-jwt": _says("a.b.c"),
    "cut": _cut,
    "typ-missing": _changed({"typ": None}),
    "typ-other": _changed({"typ": "JWT"}),
    "key-missing": _changed({"jwk": None}),
    "key-other": _changed({"jwk": OTHER.jwk}),
    "key-private": _changed({"jwk": KEY.private_jwk}),
    "key-of-another-kind": _changed({"jwk": KEYS["RS256"].jwk}),
    "algorithm-none": _changed({"alg": "none"}),
    "algorithm-hmac": _by_hmac,
    "jti-missing": _changed(jti=None),
    "jti-number": _changed(jti=5),
    "jti-empty": _changed(jti=""),
    "htm-missing": _changed(htm=None),
    "htm-other": _changed(htm="PUT"),
    "htm-lower-case": _changed(htm="post"),
    "htu-missing": _changed(htu=None),
    "htu-other": _changed(htu="https://other.example/token"),
    "htu-query": _address(lambda address: f"{address}?x=1"),
    "htu-fragment": _address(lambda address: f"{address}#x"),
    "htu-upper-case": _address(lambda address: address.replace("localhost", "LOCALHOST")),
    "htu-slash": _address(lambda address: f"{address}/"),
    "htu-relative": _changed(htu="/token"),
    "iat-missing": _changed(iat=None),
    "iat-text": _changed(iat="now"),
    "iat-an-hour-ago": _later(-3600),
    "iat-in-an-hour": _later(3600),
    "iat-a-little-ago": _later(-8),
    "iat-a-little-early": _later(8),
    "expired": _changed(exp=1),
    "nonce-unasked": _changed(nonce="nothing"),
    "claim-unknown": _changed(magic=1),
}


def questions() -> Iterator[Question]:
    for name, proves in PROOFS.items():
        yield Question(f"dpop/token-{name}", _at_token(proves))
    for name in ("right-es256", "nonsense", "key-other", "htu-other", "iat-an-hour-ago", "jti-missing", "typ-other"):
        yield Question(f"dpop/userinfo-{name}", _at_userinfo(PROOFS[name]))
    yield Question("dpop/userinfo-ath-missing", _at_userinfo(_changed(ath=None)))
    yield Question("dpop/userinfo-ath-other", _at_userinfo(_changed(ath="x")))
    yield Question("dpop/userinfo-of-another-key", _at_userinfo(_changed(None, OTHER)))
    yield Question("dpop/userinfo-htm-other", _at_userinfo(_changed(htm="POST")))
    yield Question("dpop/userinfo-without-proof", _without_proof("DPoP"))
    yield Question("dpop/userinfo-bound-as-bearer", _without_proof("Bearer"))
    yield Question("dpop/userinfo-bearer-as-dpop", _bearer_as_dpop)
    yield Question("dpop/userinfo-bearer-with-a-proof", _bearer_with_proof)
    yield Question("dpop/token-proof-twice", _twice)
    yield Question("dpop/token-two-proofs", _two_proofs)
    yield Question("dpop/token-of-a-bound-client-without-proof", lambda site: answered(_exchange(site, "bound", None)))
    yield Question("dpop/token-of-a-bound-client", lambda site: answered(_exchange(site, "bound", KEY), *SHOWN))
    yield Question("dpop/token-of-the-key-asked-for", lambda site: _bound_code(site, KEY, KEY))
    yield Question("dpop/token-of-another-key-than-asked-for", lambda site: _bound_code(site, KEY, OTHER))
    yield Question("dpop/token-without-the-key-asked-for", lambda site: _bound_code(site, KEY, None))
    yield Question("dpop/refresh-by-the-same-key", lambda site: _refreshed(site, "basic", KEY))
    yield Question("dpop/refresh-by-another-key", lambda site: _refreshed(site, "basic", OTHER))
    yield Question("dpop/refresh-without-proof", lambda site: _refreshed(site, "basic", None))
    yield Question("dpop/refresh-of-public-by-the-same-key", lambda site: _refreshed(site, "public", KEY))
    yield Question("dpop/refresh-of-public-by-another-key", lambda site: _refreshed(site, "public", OTHER))
    yield Question("dpop/refresh-of-public-without-proof", lambda site: _refreshed(site, "public", None))
    yield Question("dpop/own-token", _own)
    yield Question("dpop/introspected", _introspected)
    yield Question("dpop/strict-client", lambda site: _strictly(site, KEY))
    yield Question("dpop/strict-client-without-proof", lambda site: _strictly(site, None))


def _exchange(site: Site, client_id: str, key: ProofKey | None) -> Response:
    return site.exchange(client_id, site.code(client_id), dpop=site.proof(key, "POST", "token") if key else None)


def _at_token(proves: Proves) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        proof = proves(site, "POST", "token", None)
        headers = {"DPoP": proof}
        form = {"grant_type": "authorization_code", "code": site.code("basic"), "code_verifier": VERIFIER}
        form["redirect_uri"] = "https://app.example/callback"
        return answered(site.post("token", form, site.authentication("basic"), headers), *SHOWN)

    return ask


def _userinfo(site: Site, scheme: str, token: str, proof: str | None) -> Answer:
    headers = {"Authorization": f"{scheme} {token}", **({"DPoP": proof} if proof is not None else {})}
    return answered(site.get(site.address("userinfo"), headers))


def _at_userinfo(proves: Proves) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        token = str(site.tokens("basic", key=KEY)["access_token"])
        return _userinfo(site, "DPoP", token, proves(site, "GET", "userinfo", token))

    return ask


def _without_proof(scheme: str) -> Callable[[Site], Answer]:
    return lambda site: _userinfo(site, scheme, str(site.tokens("basic", key=KEY)["access_token"]), None)


def _bearer_as_dpop(site: Site) -> Answer:
    token = str(site.tokens("basic")["access_token"])
    return _userinfo(site, "DPoP", token, site.proof(KEY, "GET", "userinfo", token))


def _bearer_with_proof(site: Site) -> Answer:
    token = str(site.tokens("basic")["access_token"])
    return _userinfo(site, "Bearer", token, site.proof(KEY, "GET", "userinfo", token))


def _twice(site: Site) -> Answer:
    proof = site.proof(KEY, "POST", "token")
    site.exchange("basic", site.code("basic"), dpop=proof)
    return answered(site.exchange("basic", site.code("basic"), dpop=proof), *SHOWN)


def _two_proofs(site: Site) -> Answer:
    both = ", ".join(site.proof(KEY, "POST", "token") for _ in range(2))
    return answered(site.exchange("basic", site.code("basic"), dpop=both), *SHOWN)


def _bound_code(site: Site, asked: ProofKey, shown: ProofKey | None) -> Answer:
    code = site.code("basic", {"dpop_jkt": asked.jkt})
    return answered(site.exchange("basic", code, dpop=site.proof(shown, "POST", "token") if shown else None), *SHOWN)


def _refreshed(site: Site, client_id: str, key: ProofKey | None) -> Answer:
    token = str(site.tokens(client_id, key=KEY)["refresh_token"])
    if key is None:
        return answered(refresh(site, client_id, {"refresh_token": token}), *SHOWN)
    form = {"grant_type": "refresh_token", "refresh_token": token}
    headers = {"DPoP": site.proof(key, "POST", "token")}
    return answered(site.post("token", form, site.authentication(client_id), headers), *SHOWN)


def _own(site: Site) -> Answer:
    headers = {"DPoP": site.proof(KEY, "POST", "token")}
    form = {"grant_type": "client_credentials"}
    return answered(site.post("token", form, site.authentication("robot"), headers), *SHOWN)


def _introspected(site: Site) -> Answer:
    token = str(site.tokens("basic", key=KEY)["access_token"])
    answer = site.post("introspection", {"token": token}, site.authentication("basic"))
    return {**answered(answer, *SHOWN), "cnf": sorted(answer.json()["cnf"])}


def _strictly(site: Site, key: ProofKey | None) -> Answer:
    pushed = site.post(PUSH, site.parameters("strict"), site.authentication("strict")).json()
    brought = {"client_id": "strict", "request_uri": pushed["request_uri"]}
    code = site.sign_in(site.browser().open(site.authorization_url(brought))).departure.parameters["code"]
    return answered(site.exchange("strict", code, dpop=site.proof(key, "POST", "token") if key else None), *SHOWN)
