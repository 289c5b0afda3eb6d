"""Answers without what is random in them: two providers that do the same have the same normal form.

answered    to a program: status, kind, error, members, challenges, whether it may be kept
arrived     to somebody's browser: which page, or at the client with which parameters
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from tests.relying_party import Page

Answer = Mapping[str, Any]
# Free text, and where more of it stands (RFC 6749 5.2).
FOR_PEOPLE = frozenset({"error_description", "error_uri"})
ERROR = re.compile(r"\b([a-z]+(?:_[a-z]+)+)\b")


def answered(response: requests.Response, *shown: str) -> Answer:
    """The normal form of an answer; `shown` are members whose values count."""
    found: dict[str, Any] = {"status": response.status_code, **_kept(response.headers.get("Cache-Control"))}
    if response.content:
        found["type"] = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if challenges := _challenges(response.headers.get("WWW-Authenticate", "")):
        found["challenges"] = challenges
    if found.get("type") == "application/json":
        said = response.json()
        if isinstance(said, dict):
            found |= _members(said, shown)
    return found


def _members(said: Mapping[str, Any], shown: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "error" in said:
        found["error"] = said["error"]
    found["members"] = sorted(set(said) - FOR_PEOPLE - {"error"})
    for name in shown:
        if name in said:
            found[name] = said[name]
    if isinstance(found.get("scope"), str):
        found["scope"] = sorted(found["scope"].split())
    if isinstance(found.get("token_type"), str):
        # RFC 6749 5.1: case-insensitive.
        found["token_type"] = found["token_type"].lower()
    return found


def _kept(cache_control: str | None) -> dict[str, Any]:
    directives = {each.strip().lower() for each in (cache_control or "").split(",")}
    return {"no_store": "no-store" in directives}


def _challenges(header: str) -> list[str]:
    """Each scheme, with the error that it names."""
    found = []
    for scheme, rest in re.findall(r"(?:^|, ?)(Basic|Bearer|DPoP)\b((?:(?!, ?(?:Basic|Bearer|DPoP)\b).)*)", header):
        error = re.search(r'error="([^"]+)"', rest)
        found.append(f"{scheme} {error[1]}" if error else scheme)
    return sorted(found)


def arrived(page: Page, issuer: str) -> Answer:
    """The normal form of where somebody is now."""
    if not page.has_left:
        return {"at": _page(page), **_kept(page.headers.get("cache-control"))}
    departure = page.departure
    parts = urlsplit(departure.url)
    own = dict(parse_qsl(parts.query)) if departure.mode != "query" else {}
    said = {**departure.parameters, **own}
    found: dict[str, Any] = {
        "at": "client",
        "address": f"{parts.scheme}:{'//' if parts.netloc else ''}{parts.netloc}{parts.path}",
        "mode": departure.mode,
        "members": sorted(set(said) - FOR_PEOPLE),
    }
    for name in ("error", "state"):
        if name in said:
            found[name] = said[name]
    if "iss" in said:
        found["iss"] = said["iss"] == issuer
    return found


def _page(page: Page) -> str:
    for element_id, name in (
        ("login-submit", "login"),
        ("consent-allow", "consent"),
        ("account-continue", "choice of accounts"),
        ("logout-confirm", "logout question"),
    ):
        if page.has(element_id):
            return f"{name} ({page.status})"
    developer = next((element.text for element in page.root if "developer" in (element.get("class") or "").split()), "")
    error = ERROR.search(developer)
    return f"error {error[1]} ({page.status})" if error else f"page ({page.status})"


def differing(one: Answer, other: Answer) -> dict[str, tuple[Any, Any]]:
    """What is not the same in both: by name what the one has and what the other has, None where it has nothing.

    Where the one accepts what the other refuses, that is all: the rest follows from it.
    """
    pairs = {name: (one.get(name), other.get(name)) for name in sorted({*one, *other})}
    outcomes = outcome(one), outcome(other)
    if outcomes[0] != outcomes[1]:
        both_refuse = all("error" in answer and "status" in answer for answer in (one, other))
        others = {name: pairs[name] for name in pairs if both_refuse and name not in ("status", "error")}
        pairs = {"outcome": outcomes, **others}
    return {name: (theirs, ours) for name, (theirs, ours) in pairs.items() if theirs != ours}


def outcome(answer: Answer) -> str:
    """In a few words what came of a request."""
    at = answer.get("at")
    if at == "client":
        brought = next((name for name in ("error", "code") if name in answer["members"]), "nothing")
        return f"client: {answer['error']}" if brought == "error" else f"client: {brought}"
    if at is not None:
        return str(at)
    return " ".join(str(answer[name]) for name in ("status", "error") if name in answer)
