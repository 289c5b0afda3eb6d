"""What tokens are worth: userinfo, introspection, revocation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from requests import Response

from tests.interop.differential.ask_token import refresh
from tests.interop.differential.clients import RESOURCE
from tests.interop.differential.normal_form import Answer, answered
from tests.interop.differential.question import Question
from tests.interop.differential.site import Site

TOLD = ("active", "client_id", "scope", "token_type", "aud")
JWT = "application/token-introspection+jwt"


def questions() -> Iterator[Question]:
    for name, header in {
        "right": "Bearer {}",
        "scheme-lower-case": "bearer {}",
        "scheme-dpop": "DPoP {}",
        "scheme-basic": "Basic {}",
        "without-scheme": "{}",
        "two-words": "Bearer {} more",
        "empty": "Bearer",
        "cut": "Bearer {}x",
    }.items():
        yield Question(f"userinfo/{name}", _userinfo(header))
    yield Question("userinfo/nothing", lambda site: answered(site.get(site.address("userinfo"))))
    yield Question("userinfo/unknown", lambda site: answered(_userinfo_of(site, "nothing")))
    yield Question("userinfo/odd", lambda site: answered(_userinfo_of(site, "a!{}\x7f")))
    yield Question(
        "userinfo/refresh-token", lambda site: answered(_userinfo_of(site, site.tokens("basic")["refresh_token"]))
    )
    yield Question("userinfo/id-token", lambda site: answered(_userinfo_of(site, site.tokens("basic")["id_token"])))
    yield Question("userinfo/of-a-robot", lambda site: answered(_userinfo_of(site, _own(site))))
    yield Question("userinfo/for-a-resource", lambda site: answered(_userinfo_of(site, _for_resource(site))))
    yield Question("userinfo/scope-openid-only", lambda site: answered(_userinfo_of(site, _narrow(site, "openid"))))
    yield Question("userinfo/of-a-refresh-without-openid", lambda site: answered(_userinfo_of(site, _refreshed(site))))
    yield Question("userinfo/signed", _signed_userinfo)
    yield Question("userinfo/claims-by-name", _claims_by_name)
    yield Question("userinfo/post-with-header", _post_with_header)
    yield Question("userinfo/post-with-body", lambda site: _post_body(site, {}))
    yield Question("userinfo/post-with-both", _post_with_both)
    yield Question("userinfo/post-of-json", _post_of_json)
    yield Question("userinfo/in-the-query", _in_the_query)
    for method in ("PUT", "DELETE", "HEAD"):
        yield Question(f"userinfo/method-{method.lower()}", _by_method("userinfo", method))

    for name, (caller, made) in {
        "own": ("basic", lambda site: site.tokens("basic")["access_token"]),
        "own-refresh-token": ("basic", lambda site: site.tokens("basic")["refresh_token"]),
        "own-of-a-robot": ("robot", lambda site: _own(site)),
        "own-id-token": ("basic", lambda site: site.tokens("basic")["id_token"]),
        "of-another": ("other", lambda site: site.tokens("basic")["access_token"]),
        "refresh-token-of-another": ("other", lambda site: site.tokens("basic")["refresh_token"]),
        "of-a-resource": ("api", lambda site: _for_resource(site)),
        "of-no-resource-by-a-resource-server": ("api", lambda site: site.tokens("basic")["access_token"]),
        "of-a-resource-by-another": ("other", lambda site: _for_resource(site)),
        "unknown": ("basic", lambda site: "nothing"),
        "code": ("basic", lambda site: site.code("basic")),
        "by-a-public-client": ("public", lambda site: site.tokens("public")["access_token"]),
        "empty": ("basic", lambda site: ""),
    }.items():
        yield Question(f"introspection/{name}", _introspected(caller, made))
    for name, hint in {"right": "access_token", "wrong": "refresh_token", "unknown": "magic"}.items():
        yield Question(f"introspection/hint-{name}", _introspected("basic", _access_token, token_type_hint=hint))
    yield Question("introspection/token-missing", _without_token("introspection"))
    yield Question("introspection/token-repeated", _repeated("introspection"))
    yield Question("introspection/jwt-of-a-client-registered-for-it", _jwt("told"))
    yield Question("introspection/jwt-of-a-client-not-registered-for-it", _jwt("basic"))
    yield Question("introspection/json-of-a-client-registered-for-a-jwt", _introspected("told", lambda site: "nothing"))
    yield Question("introspection/body-of-json", _body_of_json("introspection"))
    for method in ("GET", "PUT"):
        yield Question(f"introspection/method-{method.lower()}", _by_method("introspection", method))

    for name, (caller, made) in {
        "access-token": ("basic", _access_token),
        "refresh-token": ("basic", lambda site: site.tokens("basic")["refresh_token"]),
        "of-a-public-client": ("public", lambda site: site.tokens("public")["refresh_token"]),
        "of-another": ("other", _access_token),
        "refresh-token-of-another": ("other", lambda site: site.tokens("basic")["refresh_token"]),
        "of-another-by-a-public-client": ("public", _access_token),
        "own-of-a-robot": ("robot", lambda site: _own(site)),
        "unknown": ("basic", lambda site: "nothing"),
        "id-token": ("basic", lambda site: site.tokens("basic")["id_token"]),
        "code": ("basic", lambda site: site.code("basic")),
    }.items():
        yield Question(f"revocation/{name}", _revoked(caller, made))
    for name, hint in {"right": "access_token", "wrong": "refresh_token", "unknown": "magic"}.items():
        yield Question(f"revocation/hint-{name}", _revoked("basic", _access_token, token_type_hint=hint))
    yield Question("revocation/token-missing", _without_token("revocation"))
    yield Question("revocation/token-repeated", _repeated("revocation"))
    yield Question("revocation/body-of-json", _body_of_json("revocation"))
    yield Question("revocation/then-userinfo", _then_userinfo("access_token"))
    yield Question("revocation/of-the-refresh-token-then-userinfo", _then_userinfo("refresh_token"))
    yield Question("revocation/of-the-access-token-then-refresh", _then_refresh)
    yield Question("revocation/twice", _revoked_twice)
    yield Question("revocation/with-a-wrong-hint-then-userinfo", _then_userinfo("access_token", "refresh_token"))
    for method in ("GET", "PUT"):
        yield Question(f"revocation/method-{method.lower()}", _by_method("revocation", method))


Makes = Callable[[Site], str]


def _access_token(site: Site) -> str:
    return str(site.tokens("basic")["access_token"])


def _own(site: Site) -> str:
    answer = site.post("token", {"grant_type": "client_credentials"}, site.authentication("robot"))
    return str(answer.json()["access_token"])


def _for_resource(site: Site) -> str:
    answer = site.exchange("shop", site.code("shop", {"resource": RESOURCE}), {"resource": RESOURCE})
    return str(answer.json()["access_token"])


def _narrow(site: Site, scope: str) -> str:
    return str(site.tokens("basic", {"scope": scope})["access_token"])


def _refreshed(site: Site) -> str:
    token = site.tokens("basic")["refresh_token"]
    return str(refresh(site, "basic", {"refresh_token": token, "scope": "profile"}).json().get("access_token"))


def _userinfo_of(site: Site, token: str, scheme: str = "Bearer") -> Response:
    return site.get(site.address("userinfo"), {"Authorization": f"{scheme} {token}"})


def _userinfo(header: str) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        return answered(site.get(site.address("userinfo"), {"Authorization": header.format(_access_token(site))}))

    return ask


def _signed_userinfo(site: Site) -> Answer:
    return answered(_userinfo_of(site, str(site.tokens("told")["access_token"])))


def _claims_by_name(site: Site) -> Answer:
    claims = json.dumps({"userinfo": {"email": None}, "id_token": {"name": None}})
    return answered(
        _userinfo_of(site, str(site.tokens("basic", {"scope": "openid", "claims": claims})["access_token"]))
    )


def _post_with_header(site: Site) -> Answer:
    return answered(site.send("POST", "userinfo", headers={"Authorization": f"Bearer {_access_token(site)}"}))


def _post_body(site: Site, headers: Mapping[str, str]) -> Answer:
    return answered(site.post("userinfo", {"access_token": _access_token(site)}, headers=headers))


def _post_with_both(site: Site) -> Answer:
    token = _access_token(site)
    return answered(site.post("userinfo", {"access_token": token}, headers={"Authorization": f"Bearer {token}"}))


def _post_of_json(site: Site) -> Answer:
    return answered(site.json("POST", site.address("userinfo"), {"access_token": _access_token(site)}))


def _in_the_query(site: Site) -> Answer:
    return answered(site.get(f"{site.address('userinfo')}?access_token={_access_token(site)}"))


def _by_method(endpoint: str, method: str) -> Callable[[Site], Answer]:
    return lambda site: {"status": site.send(method, endpoint).status_code}


def _introspected(caller: str, made: Makes, **more: str) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        answer = answered(site.post("introspection", {"token": made(site), **more}, site.authentication(caller)), *TOLD)
        # Each provider is its own audience.
        return {name: "the issuer" if value == site.issuer else value for name, value in answer.items()}

    return ask


def _revoked(caller: str, made: Makes, **more: str) -> Callable[[Site], Answer]:
    return lambda site: answered(site.post("revocation", {"token": made(site), **more}, site.authentication(caller)))


def _without_token(endpoint: str) -> Callable[[Site], Answer]:
    return lambda site: answered(site.post(endpoint, {}, site.authentication("basic")))


def _repeated(endpoint: str) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        pairs = [("token", "nothing"), ("token", "nothing")]
        return answered(site.send("POST", endpoint, pairs, site.authentication("basic").headers))

    return ask


def _jwt(client_id: str) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        token = str(site.tokens(client_id)["access_token"])
        return answered(site.post("introspection", {"token": token}, site.authentication(client_id), {"Accept": JWT}))

    return ask


def _body_of_json(endpoint: str) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        headers = {**site.authentication("basic").headers, "Content-Type": "application/json"}
        return answered(site.send("POST", endpoint, headers=headers, body=json.dumps({"token": "nothing"}).encode()))

    return ask


def _give_back(site: Site, tokens: Mapping[str, Any], which: str, **more: str) -> None:
    answer = site.post("revocation", {"token": tokens[which], **more}, site.authentication("basic"))
    assert answer.status_code == 200, answer.text


def _then_userinfo(which: str, hint: str | None = None) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        tokens = site.tokens("basic")
        _give_back(site, tokens, which, **({"token_type_hint": hint} if hint else {}))
        return answered(_userinfo_of(site, str(tokens["access_token"])))

    return ask


def _then_refresh(site: Site) -> Answer:
    tokens = site.tokens("basic")
    _give_back(site, tokens, "access_token")
    return answered(refresh(site, "basic", {"refresh_token": str(tokens["refresh_token"])}))


def _revoked_twice(site: Site) -> Answer:
    tokens = site.tokens("basic")
    _give_back(site, tokens, "access_token")
    return answered(site.post("revocation", {"token": str(tokens["access_token"])}, site.authentication("basic")))
