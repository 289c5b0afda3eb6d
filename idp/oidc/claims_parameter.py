"""The `claims` parameter: claims that are wished for by name (OIDC Core 5.5)."""

import json
from collections.abc import Iterable
from typing import Any, Never

from idp.oidc.claims import names_for


def read(text: str, scope: Iterable[str]) -> dict[str, Any]:
    """The wishes that a client with this scope can have fulfilled, in the form {section: {claim: wish}}.

    Raises ValueError with the reason in words.
    """
    try:
        asked = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise ValueError("claims is not JSON") from None
    if not isinstance(asked, dict):
        raise ValueError("claims is not a JSON object")
    sections: dict[str, Any] = {name: asked[name] for name in ("id_token", "userinfo") if asked.get(name) is not None}
    for section in sections.values():
        if not isinstance(section, dict) or not all(
            wished is None or isinstance(wished, dict) for wished in section.values()
        ):
            raise ValueError("claims does not have the form of OIDC Core 5.5")
    possible = {"acr", *names_for(scope)}
    return {
        name: {claim: _plain(wished or {}) for claim, wished in section.items() if claim in possible}
        for name, section in sections.items()
    }


def wish(claims: dict[str, Any], name: str) -> dict[str, Any]:
    """What is wished of a claim of the ID token; empty when nothing particular is."""
    found: dict[str, Any] = claims.get("id_token", {}).get(name, {})
    return found


def acr_by_claim(wished: dict[str, Any]) -> tuple[str, ...]:
    """The values of `acr` that the wish names."""
    return (wished["value"],) if "value" in wished else tuple(wished.get("values", ()))


def essential_values(wished: dict[str, Any]) -> tuple[str, ...]:
    """The values of which one has to be reached; without any, it is only the claim that has to be there."""
    return acr_by_claim(wished) if wished.get("essential") else ()


def _plain(wished: dict[str, Any]) -> dict[str, Any]:
    """The members of a wish that mean something here; our claims that can be wished by value are text."""
    plain: dict[str, Any] = {"essential": True} if wished.get("essential") is True else {}
    if isinstance(wished.get("value"), str):
        plain["value"] = wished["value"]
    if isinstance(wished.get("values"), list):
        plain["values"] = [value for value in wished["values"] if isinstance(value, str)]
    return plain


def _no_json(constant: str) -> Never:
    raise ValueError(f"{constant} is no JSON")
