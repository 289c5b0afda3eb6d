"""Requests that nearly are right, with real codes and tokens: no fault of ours, and what is refused changes nothing."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.oidc.hostile import (
    KNOWN_CLIENT,
    REUSED,
    SETTINGS,
    STRANGER_AT_TOKEN,
    TOKEN,
    Ledger,
    changes,
    encoded,
    in_header,
    is_error_for_a_client,
    is_json,
)
from tests.oidc.journeys import VERIFIER, Provider, RelyingParty, basic, body, error

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

    def post(self, path: str, content: bytes) -> TestResponse:
        """A request of the client."""
        return self.provider.post(path, content, {"Authorization": basic(self.party.client_id, self.party.secret)})


@pytest.fixture(scope="module")
def provider(attacked: Provider) -> Provider:
    return attacked


@pytest.fixture(scope="module")
def ledger(provider: Provider, holder: Holder) -> Ledger:
    return Ledger(provider.app)


@pytest.fixture(scope="module")
def holder(provider: Provider) -> Holder:
    return Holder(provider)


@SETTINGS
@given(
    changed=changes((*TOKEN, "resource", "grant_type", "scope")),
    raw=st.booleans(),
    which=st.sampled_from(["code", "session", "offline", "itself"]),
)
def test_refused_token_request_changes_nothing(
    provider: Provider, holder: Holder, ledger: Ledger, changed: list[tuple[bytes, bytes]], raw: bool, which: str
) -> None:
    party = holder.party
    content = encoded(holder.right(which), changed, raw)
    ledger.changed()
    response = holder.post("/token", content)
    if response.status_code == 200:
        # What was added means nothing, or it was right.
        said = is_json(response)
        assert {"access_token", "token_type", "expires_in"} <= set(said)
        assert ("id_token" in said) == (which != "itself")
        holder.code = party.code() if which == "code" else holder.code
        return
    is_error_for_a_client(response)
    ledger.is_unchanged_but_for(KNOWN_CLIENT, *STRANGER_AT_TOKEN)


@SETTINGS
@given(
    token=st.sampled_from(["access_token", "refresh_token", "id_token"]),
    end=st.integers(0, 60),
    more=st.binary(max_size=4),
)
def test_introspection_of_what_is_nearly_a_token_finds_nothing(
    provider: Provider, holder: Holder, ledger: Ledger, token: str, end: int, more: bytes
) -> None:
    # A71: neither a beginning of a token, nor a token and something after it.
    cut = _nearly(holder, token, end, more)
    if cut is None:
        return
    ledger.changed()
    response = holder.post("/introspect", encoded({}, [(b"token", cut)], raw=False))
    if response.status_code == 200:
        assert body(response) == NOT_ACTIVE
    else:
        is_error_for_a_client(response)
    ledger.is_unchanged_but_for(KNOWN_CLIENT)


@SETTINGS
@given(
    token=st.sampled_from(["access_token", "refresh_token", "id_token"]),
    end=st.integers(0, 60),
    more=st.binary(max_size=4),
)
def test_what_is_nearly_a_token_is_not_revoked_and_opens_nothing(
    provider: Provider, holder: Holder, ledger: Ledger, token: str, end: int, more: bytes
) -> None:
    cut = _nearly(holder, token, end, more)
    if cut is None:
        return
    ledger.changed()
    response = holder.post("/revoke", encoded({}, [(b"token", cut)], raw=False))
    if response.status_code == 200:
        assert body(response) == {}
    else:
        is_error_for_a_client(response)
    ledger.is_unchanged_but_for(KNOWN_CLIENT)
    shown = provider.get("/userinfo", {"Authorization": in_header(b"Bearer " + cut)})
    is_json(shown)
    assert shown.status_code in (400, 401)
    ledger.is_unchanged_but_for()


def _nearly(holder: Holder, token: str, end: int, more: bytes) -> bytes | None:
    """The token without its end, and something after it; None when that is a token all the same."""
    whole = holder.offline[token].encode()
    cut = whole[: max(0, len(whole) - end)] + more
    return None if cut.strip() == whole and token != "id_token" else cut  # noqa: S105 - the name of a token


def test_code_that_comes_back_ends_what_came_of_it_and_writes_nothing_else(
    provider: Provider, holder: Holder, ledger: Ledger
) -> None:
    party = provider.client()
    code = party.code()
    body(party.redeem(code))
    ledger.changed()
    assert error(party.redeem(code)) == "invalid_grant"
    changed = ledger.changed()
    assert {table: len(rows) for table, rows in changed.items()} == {
        "refresh_families": 1,
        "access_tokens": 1,
        "audit_events": 2,
    }
    for remains in REUSED:
        assert any(remains.is_it(row) for row in changed[remains.table]), remains.because


def test_refresh_token_that_comes_back_ends_its_family_and_writes_nothing_else(
    provider: Provider, holder: Holder, ledger: Ledger
) -> None:
    party = provider.public_client(grant_types=["authorization_code", "refresh_token"])
    first = party.signed_in()["refresh_token"]
    body(party.refresh(first))
    # Who lost the answer may ask again for half a minute.
    provider.clock.move(timedelta(minutes=1))
    ledger.changed()
    assert error(party.refresh(first)) == "invalid_grant"
    changed = ledger.changed()
    # Two access tokens: of the code, and of the refresh. What a public client is refused is counted.
    assert {table: len(rows) for table, rows in changed.items()} == {
        "refresh_families": 1,
        "access_tokens": 2,
        "audit_events": 2,
        "event_counts": 1,
    }
    for remains in REUSED:
        assert any(remains.is_it(row) for row in changed[remains.table]), remains.because


def test_right_requests_are_right(provider: Provider, holder: Holder) -> None:
    """The control: without changes each of them succeeds."""
    party: RelyingParty = holder.party
    holder.code = party.code()
    for which in ("session", "offline", "itself", "code"):
        assert body(party.token(dict(holder.right(which))))["access_token"], which
