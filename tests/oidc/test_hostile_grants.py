"""Requests that nearly are right, with real codes and tokens: no fault of ours, and what is refused changes nothing."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from idp.oidc.models import AccessToken, AuthorizationCode, RefreshFamily, UsedIdentifier
from idp.sessions.models import Session
from tests.oidc.journeys import VERIFIER, Provider, RelyingParty, basic, body
from tests.oidc.test_hostile_input import SETTINGS, TOKEN, _changes, _encoded, _is_json

RESOURCES = ["urn:example:payroll", "https://planning.example/"]
GRANTS = ["authorization_code", "refresh_token", "client_credentials"]
NOT_ACTIVE = {"active": False}


class Holder:
    """A client with every grant, and what it holds: a code, a refresh token of a session and one of offline access."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.party = provider.client(
            grant_types=GRANTS,
            scope="openid profile offline_access reports:read",
            resources=RESOURCES,
            subject_type="pairwise",
            sector_identifier="app.example",
        )
        self.tokens = self.party.signed_in(scope="openid profile")
        self.offline = self.party.signed_in(scope="openid offline_access", prompt="consent")
        self.code = self.party.code()

    def right(self, which: str) -> Mapping[str, str]:
        """A request that would succeed."""
        return {
            "code": {
                "grant_type": "authorization_code",
                "code": self.code,
                "redirect_uri": self.party.redirect_uri,
                "code_verifier": VERIFIER,
            },
            "session": {"grant_type": "refresh_token", "refresh_token": self.tokens["refresh_token"]},
            "offline": {"grant_type": "refresh_token", "refresh_token": self.offline["refresh_token"]},
            "itself": {"grant_type": "client_credentials", "resource": RESOURCES[0]},
        }[which]

    def rows(self) -> list[Any]:
        """Everything that a token request could change."""
        with self.provider.writing() as unit:
            found: list[Any] = [unit.scalar(select(func.count()).select_from(UsedIdentifier))]
            for model, order in (
                (AccessToken, AccessToken.token_hash),
                (RefreshFamily, RefreshFamily.grant_id),
                (AuthorizationCode, AuthorizationCode.code_hash),
            ):
                rows = select(model.__table__).where(model.client_id == self.party.client_id).order_by(order)
                found.append([tuple(row) for row in unit.execute(rows)])
            found.append([tuple(row) for row in unit.execute(select(Session.id, Session.last_activity_at))])
            return found


@pytest.fixture(scope="module")
def holder(provider: Provider) -> Holder:
    return Holder(provider)


@SETTINGS
@given(
    changes=_changes((*TOKEN, "resource", "grant_type", "scope")),
    raw=st.booleans(),
    which=st.sampled_from(["code", "session", "offline", "itself"]),
)
def test_refused_token_request_changes_nothing(
    provider: Provider, holder: Holder, changes: list[tuple[bytes, bytes]], raw: bool, which: str
) -> None:
    before, party = holder.rows(), holder.party
    content = _encoded(holder.right(which), changes, raw)
    response = provider.post("/token", content, {"Authorization": basic(party.client_id, party.secret)})
    _is_json(response)
    if response.status_code == 200:
        # What was added means nothing, or it was right.
        said = response.get_json()
        assert {"access_token", "token_type", "expires_in"} <= set(said)
        assert ("id_token" in said) == (which != "itself")
        holder.code = party.code() if which == "code" else holder.code
        return
    assert response.status_code in (400, 401)
    assert set(response.get_json()) <= {"error", "error_description"}
    assert (response.status_code == 401) == (response.get_json()["error"] == "invalid_client")
    assert holder.rows() == before


@SETTINGS
@given(
    token=st.sampled_from(["access_token", "refresh_token", "id_token"]),
    end=st.integers(0, 60),
    more=st.binary(max_size=4),
)
def test_introspection_of_what_is_nearly_a_token_finds_nothing(
    provider: Provider, holder: Holder, token: str, end: int, more: bytes
) -> None:
    # A71: neither a beginning of a token, nor a token and something after it.
    whole = holder.offline[token].encode()
    cut = whole[: max(0, len(whole) - end)] + more
    if cut == whole and token != "id_token":  # noqa: S105 - the name of a token
        return
    before, party = holder.rows(), holder.party
    content = _encoded({}, [(b"token", cut)], raw=False)
    response = provider.post("/introspect", content, {"Authorization": basic(party.client_id, party.secret)})
    _is_json(response)
    if response.status_code == 200:
        assert body(response) == NOT_ACTIVE
    else:
        assert response.status_code == 400
    assert holder.rows() == before


def test_right_requests_are_right(provider: Provider, holder: Holder) -> None:
    """The control: without changes each of them succeeds."""
    party: RelyingParty = holder.party
    for which in ("session", "offline", "itself", "code"):
        assert body(party.token(dict(holder.right(which))))["access_token"], which
    holder.code = party.code()
