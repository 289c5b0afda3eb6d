"""Which claims a scope value stands for, and what the `claims` parameter adds (OIDC Core 5.4 and 5.5).

A claim that is blank or unknown is left out, never null. Scope claims are answered by userinfo, not by the ID token.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from idp.accounts.models import Account

BY_SCOPE: Mapping[str, tuple[str, ...]] = {
    "openid": ("sub",),
    "profile": (
        "name",
        "given_name",
        "family_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
        "organisation_code",
        "organisation_name",
    ),
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_number_verified"),
    "address": ("address",),
}

SUPPORTED = tuple(dict.fromkeys(name for names in BY_SCOPE.values() for name in names))


def of_account(account: Account) -> dict[str, Any]:
    """Every claim that is known about the account, by its standard name (OIDC Core 5.1)."""
    kept = account.standard_claims
    known = {
        **kept,
        "sub": account.sub,
        "name": account.name,
        "given_name": account.given_name,
        "family_name": account.family_name,
        "preferred_username": account.username_shown,
        "locale": account.locale,
        "updated_at": int(account.updated_at.timestamp()),
        "organisation_code": account.organization.org_code,
        "organisation_name": account.organization.name,
        "email": account.email,
        "email_verified": None if _is_blank(account.email) else account.email_verified,
        "phone_number_verified": kept.get("phone_number_verified", False) if kept.get("phone_number") else None,
    }
    return {name: value for name, value in known.items() if not _is_blank(value)}


def _is_blank(value: Any) -> bool:
    return value in (None, {}) or (isinstance(value, str) and not value.strip())


def names_for(scope: Iterable[str], wished: Mapping[str, Any] | None = None) -> set[str]:
    """The claims that userinfo answers: those of the scope, and those wished for by name."""
    names = {name for value in scope for name in BY_SCOPE.get(value, ())}
    return names | (set(wished or {}) & set(SUPPORTED))


def userinfo(account: Account, scope: Iterable[str], claims_parameter: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of a userinfo response; `sub` always."""
    names = names_for(scope, claims_parameter.get("userinfo")) | {"sub"}
    return {name: value for name, value in of_account(account).items() if name in names}


def for_id_token(account: Account, claims_parameter: Mapping[str, Any]) -> dict[str, Any]:
    """The claims that were wished for in the ID token by name; nothing else about the person goes in."""
    names = names_for((), claims_parameter.get("id_token"))
    return {name: value for name, value in of_account(account).items() if name in names and name != "sub"}
