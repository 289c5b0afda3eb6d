"""What each says about itself: member by member, without the address where it lives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from idp.oidc.discovery import metadata
from tests.interop.differential.normal_form import Answer, answered
from tests.interop.differential.question import Question
from tests.interop.differential.site import Site


def questions() -> Iterator[Question]:
    for member in metadata("https://idp.example", 3, registers=True):
        yield Question(f"metadata/{member.replace('_', '-')}", _member(member))
    yield Question("metadata/what-only-one-of-both-has", _others)
    yield Question(
        "metadata/how-it-is-served", lambda site: _served(site, f"{site.issuer}/.well-known/openid-configuration")
    )
    yield Question(
        "metadata/by-its-other-name",
        lambda site: _served(site, f"{site.issuer}/.well-known/oauth-authorization-server"),
    )
    yield Question(
        "metadata/method-post",
        lambda site: {"status": site.send("POST", f"{site.issuer}/.well-known/openid-configuration").status_code},
    )
    yield Question(
        "metadata/under-a-path",
        lambda site: {"status": site.get(f"{site.issuer}/x/.well-known/openid-configuration").status_code},
    )
    yield Question("jwks/how-it-is-served", lambda site: answered(site.get(site.metadata["jwks_uri"])))
    yield Question("jwks/its-keys", _keys)
    yield Question(
        "jwks/method-post", lambda site: {"status": site.send("POST", site.metadata["jwks_uri"]).status_code}
    )


def _member(member: str) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        return {"value": _comparable(site.metadata[member], site.issuer)} if member in site.metadata else {}

    return ask


def _comparable(value: Any, issuer: str) -> Any:
    if isinstance(value, list):
        return sorted(str(each).replace(issuer, "") for each in value)
    return value.replace(issuer, "") if isinstance(value, str) else value


def _others(site: Site) -> Answer:
    """The members that ours never has."""
    return {"members": sorted(set(site.metadata) - set(metadata("https://idp.example", 3, registers=True)))}


def _served(site: Site, address: str) -> Answer:
    answer = site.get(address)
    return {name: value for name, value in answered(answer).items() if name in ("status", "type")}


def _keys(site: Site) -> Answer:
    keys = site.get(site.metadata["jwks_uri"]).json()["keys"]
    return {"keys": sorted((key["kty"], key.get("alg", ""), key.get("use", ""), "kid" in key) for key in keys)}
