"""The token endpoint: codes, refresh tokens, and tokens of clients for themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from requests import Response

from tests.interop.differential.clients import (
    CALLBACK,
    CLIENTS,
    OTHER_RESOURCE,
    RESOURCE,
    SCOPE,
    WITH_QUERY,
)
from tests.interop.differential.normal_form import Answer, answered
from tests.interop.differential.question import Question
from tests.interop.differential.site import VERIFIER, Site

Changes = Mapping[str, str | None]
SHOWN = ("token_type", "scope", "expires_in")

# Changes to a right exchange of a code of `basic`.
EXCHANGES: Mapping[str, Changes] = {
    "right": {},
    "grant-missing": {"grant_type": None},
    "grant-empty": {"grant_type": ""},
    "grant-unknown": {"grant_type": "magic"},
    "grant-password": {"grant_type": "password", "username": "anna", "password": "x"},
    "grant-not-the-clients": {"grant_type": "client_credentials"},
    "code-missing": {"code": None},
    "code-empty": {"code": ""},
    "code-unknown": {"code": "nothing"},
    "code-odd": {"code": "a\x00\u2028"},
    "redirect-missing": {"redirect_uri": None},
    "redirect-empty": {"redirect_uri": ""},
    "redirect-other": {"redirect_uri": "https://app.example/other"},
    "redirect-of-nobody": {"redirect_uri": "https://evil.example/"},
    "verifier-missing": {"code_verifier": None},
    "verifier-empty": {"code_verifier": ""},
    "verifier-wrong": {"code_verifier": "w" * 50},
    "verifier-short": {"code_verifier": VERIFIER[:42]},
    "verifier-long": {"code_verifier": "w" * 129},
    "verifier-odd": {"code_verifier": VERIFIER + " "},
    "scope-too": {"scope": "openid"},
    "scope-wider": {"scope": f"{SCOPE} phone"},
    "unknown-parameter": {"extra": "foobar"},
    "resource-not-asked-for": {"resource": RESOURCE},
}
REFRESHES: Mapping[str, Changes] = {
    "right": {},
    "token-missing": {"refresh_token": None},
    "token-empty": {"refresh_token": ""},
    "token-unknown": {"refresh_token": "nothing"},
    "scope-narrower": {"scope": "openid"},
    "scope-same": {"scope": SCOPE},
    "scope-wider": {"scope": f"{SCOPE} phone"},
    "scope-without-openid": {"scope": "profile"},
    "scope-unknown": {"scope": "openid magic"},
    "scope-empty": {"scope": ""},
    "unknown-parameter": {"extra": "foobar"},
    "redirect-too": {"redirect_uri": CALLBACK},
}
OWN: Mapping[str, tuple[str, Changes]] = {
    "right": ("robot", {}),
    "scope": ("robot", {"scope": "orders:read"}),
    "scope-empty": ("robot", {"scope": ""}),
    "scope-not-the-clients": ("robot", {"scope": "orders:read magic"}),
    "scope-openid": ("robot", {"scope": "openid"}),
    "scope-quote": ("robot", {"scope": 'orders:read"'}),
    "of-a-client-without": ("basic", {}),
    "of-a-public-client": ("public", {}),
    "of-a-resource-server": ("api", {}),
    "resource-unknown": ("robot", {"resource": RESOURCE}),
}
# Clients that get no code by a bare request, or no tokens for a bare code; and those that are asked about once.
NEED_MORE = ("strict", "objects", "bound", "pushing", "denied", "remembered", "wanting")


def questions() -> Iterator[Question]:
    for name, changes in EXCHANGES.items():
        yield Question(f"token/code-{name}", _exchanged("basic", changes))
    for name in CLIENTS:
        if CLIENTS[name]["redirect_uris"] and name not in NEED_MORE:
            yield Question(f"token/code-of-{name}", _exchanged(name, {}))
    yield Question("token/code-of-a-lax-client-without-pkce", _without_pkce({}))
    yield Question("token/code-of-a-lax-client-with-a-verifier-too-much", _without_pkce({"code_verifier": VERIFIER}))
    yield Question("token/code-of-another-redirect", _of_another_redirect)
    yield Question("token/code-of-another-client", _of_another_client)
    yield Question("token/code-twice", _twice)
    yield Question("token/code-twice-and-then-its-access-token", _after_twice)
    yield Question("token/code-twice-and-then-its-refresh-token", _refresh_after_twice)
    yield Question("token/code-after-a-wrong-verifier", _after_a_mistake({"code_verifier": "w" * 50}))
    yield Question("token/code-after-a-wrong-redirect", _after_a_mistake({"redirect_uri": "https://app.example/other"}))
    yield Question("token/code-with-offline-access", _offline)
    for name, changes in REFRESHES.items():
        yield Question(f"token/refresh-{name}", _refreshed("basic", changes))
    for client_id in ("public", "stranger", "signing", "pairwise", "offline"):
        yield Question(f"token/refresh-of-{client_id}", _refreshed(client_id, {}))
    yield Question("token/refresh-of-another-client", _refreshed_by_another)
    yield Question("token/refresh-by-an-access-token", _refreshed_by_access_token)
    yield Question("token/refresh-twice", _refreshed_twice("basic"))
    yield Question("token/refresh-of-public-with-its-new-one", _refreshed_on)
    for name, (client_id, changes) in OWN.items():
        yield Question(f"token/own-{name}", _own(client_id, changes))
    for name, resources in {"granted": RESOURCE, "not-granted": OTHER_RESOURCE, "relative": "/orders"}.items():
        yield Question(f"token/resource-{name}", _resource(resources))
    yield Question("token/resource-of-the-request-alone", _resource(None))
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        yield Question(f"token/method-{method.lower()}", _by_method(method))
    yield Question("token/parameters-in-the-query", _in_the_query)
    yield Question("token/body-of-json", _of_type("application/json", json.dumps({"grant_type": "client_credentials"})))
    yield Question("token/body-of-text", _of_type("text/plain", "grant_type=client_credentials"))
    yield Question("token/body-without-type", _of_type(None, "grant_type=client_credentials"))
    yield Question("token/body-empty", _of_type("application/x-www-form-urlencoded", ""))
    yield Question("token/body-not-utf-8", _of_type("application/x-www-form-urlencoded", "grant_type=%ff%fe"))
    yield Question(
        "token/body-with-charset",
        _of_type("application/x-www-form-urlencoded; charset=UTF-8", "grant_type=client_credentials"),
    )
    for name in ("grant_type", "code", "redirect_uri", "code_verifier", "client_id", "extra"):
        yield Question(f"token/repeated-{name.replace('_', '-')}", _repeated(name))
    yield Question("token/repeated-scope", _own_pairs([("scope", "orders:read"), ("scope", "orders:write")]))


def _exchanged(client_id: str, changes: Changes) -> Callable[[Site], Answer]:
    return lambda site: answered(site.exchange(client_id, site.code(client_id), changes), *SHOWN)


def _without_pkce(changes: Changes) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        code = site.code("lax", {"code_challenge": None, "code_challenge_method": None})
        return answered(site.exchange("lax", code, {"code_verifier": None, **changes}), *SHOWN)

    return ask


def _of_another_redirect(site: Site) -> Answer:
    return answered(site.exchange("post", site.code("post", {"redirect_uri": WITH_QUERY})))


def _of_another_client(site: Site) -> Answer:
    return answered(site.exchange("other", site.code("basic")))


def _twice(site: Site) -> Answer:
    code = site.code("basic")
    site.exchange("basic", code)
    return answered(site.exchange("basic", code))


def _after_twice(site: Site) -> Answer:
    code = site.code("basic")
    token = site.exchange("basic", code).json()["access_token"]
    site.exchange("basic", code)
    return answered(site.get(site.address("userinfo"), {"Authorization": f"Bearer {token}"}))


def _refresh_after_twice(site: Site) -> Answer:
    code = site.code("basic")
    token = site.exchange("basic", code).json()["refresh_token"]
    site.exchange("basic", code)
    return answered(refresh(site, "basic", {"refresh_token": token}))


def _after_a_mistake(changes: Changes) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        code = site.code("basic")
        site.exchange("basic", code, changes)
        return answered(site.exchange("basic", code), *SHOWN)

    return ask


def _offline(site: Site) -> Answer:
    asked = {"scope": f"{SCOPE} offline_access", "prompt": "consent"}
    return answered(site.exchange("offline", site.code("offline", asked)), *SHOWN)


def refresh(site: Site, client_id: str, form: Changes) -> Response:
    """The answer to a refresh by this client."""
    return site.post("token", {"grant_type": "refresh_token", **form}, site.authentication(client_id))


def _refreshed(client_id: str, changes: Changes) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        asked = {"scope": f"{SCOPE} offline_access", "prompt": "consent"} if client_id == "offline" else {}
        token = site.tokens(client_id, asked)["refresh_token"]
        return answered(refresh(site, client_id, {"refresh_token": token, **changes}), *SHOWN)

    return ask


def _refreshed_by_another(site: Site) -> Answer:
    return answered(refresh(site, "other", {"refresh_token": site.tokens("basic")["refresh_token"]}))


def _refreshed_by_access_token(site: Site) -> Answer:
    return answered(refresh(site, "basic", {"refresh_token": site.tokens("basic")["access_token"]}))


def _refreshed_twice(client_id: str) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        token = site.tokens(client_id)["refresh_token"]
        refresh(site, client_id, {"refresh_token": token})
        return answered(refresh(site, client_id, {"refresh_token": token}), *SHOWN)

    return ask


def _refreshed_on(site: Site) -> Answer:
    token = site.tokens("public")["refresh_token"]
    following = refresh(site, "public", {"refresh_token": token}).json()["refresh_token"]
    answer = answered(refresh(site, "public", {"refresh_token": following}), *SHOWN)
    return {**answer, "moved on": following != token}


def _own(client_id: str, changes: Changes) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        form = {"grant_type": "client_credentials", **changes}
        return answered(site.post("token", form, site.authentication(client_id)), *SHOWN)

    return ask


def _own_pairs(pairs: list[tuple[str, str]]) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        form = [("grant_type", "client_credentials"), *pairs]
        return answered(site.send("POST", "token", form, site.authentication("robot").headers))

    return ask


def _resource(asked: str | None) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        return answered(site.exchange("shop", site.code("shop", {"resource": RESOURCE}), {"resource": asked}), *SHOWN)

    return ask


def _by_method(method: str) -> Callable[[Site], Answer]:
    return lambda site: {"status": site.send(method, "token").status_code}


def _in_the_query(site: Site) -> Answer:
    address = f"{site.address('token')}?grant_type=client_credentials"
    return answered(site.send("POST", address, {}, site.authentication("robot").headers))


def _of_type(content_type: str | None, body: str) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        headers = {**site.authentication("robot").headers, **({"Content-Type": content_type} if content_type else {})}
        return answered(site.send("POST", "token", headers=headers, body=body.encode()))

    return ask


def _repeated(name: str) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        form = {
            "grant_type": "authorization_code",
            "code": site.code("basic"),
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        first = form.setdefault(name, "basic")
        return answered(
            site.send("POST", "token", [*form.items(), (name, first)], site.authentication("basic").headers)
        )

    return ask
