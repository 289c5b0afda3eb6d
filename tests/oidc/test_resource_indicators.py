"""Resource indicators (RFC 8707), and who may ask what a token is worth (RFC 7662 2.1 and 4)."""

from typing import Any

import pytest
from sqlalchemy import func, select, update

from idp.oidc.clients import Client
from idp.oidc.models import AccessToken, AuthorizationCode
from tests.oidc.journeys import Parameter, Provider, RelyingParty, body, error

PAYROLL, PLANNING, OTHER = "https://payroll.example/api", "urn:example:planning", "https://other.example/"
NOT_ACTIVE = {"active": False}
BOTH = [PAYROLL, PLANNING]


def resource_server(provider: Provider, *names: str, **values: Any) -> RelyingParty:
    given = {"grant_types": [], "response_types": [], "redirect_uris": [], "scope": "", "resources": list(names)}
    return provider.client(**{**given, **values})


@pytest.fixture(params=["opaque", "jwt"])
def party(request: pytest.FixtureRequest, provider: Provider) -> RelyingParty:
    return provider.client(resources=BOTH, access_token_format=request.param)


def granted(provider: Provider, party: RelyingParty, *resources: str) -> str:
    """A code for which these resources were granted."""
    code = party.code()
    with provider.writing() as unit:
        newest = select(func.max(AuthorizationCode.issued_at)).where(AuthorizationCode.client_id == party.client_id)
        mine = AuthorizationCode.client_id == party.client_id, AuthorizationCode.used_at.is_(None)
        statement = update(AuthorizationCode).where(*mine, AuthorizationCode.issued_at == newest.scalar_subquery())
        unit.execute(statement.values(resources=list(resources)))
    return code


def introspect(party: RelyingParty, token: str) -> dict[str, Any]:
    return body(party.post("/introspect", {"token": token}))


def audience(provider: Provider, party: RelyingParty, tokens: dict[str, Any]) -> Any:
    """As both ways of asking say it."""
    aud = introspect(party, tokens["access_token"])["aud"]
    if "." in tokens["access_token"]:
        assert provider.claims(tokens["access_token"])["aud"] == aud
    return aud


def test_token_is_for_what_was_granted_or_for_less(provider: Provider, party: RelyingParty) -> None:
    first = body(party.redeem(granted(provider, party, *BOTH)))
    assert audience(provider, party, first) == BOTH
    one = body(party.refresh(first["refresh_token"], resource=PLANNING))
    assert audience(provider, party, one) == PLANNING
    two = body(party.refresh(one["refresh_token"], resource=[PAYROLL, PLANNING, PAYROLL]))
    assert audience(provider, party, two) == BOTH
    assert audience(provider, party, body(party.refresh(one["refresh_token"]))) == BOTH
    assert audience(provider, party, body(party.redeem(granted(provider, party, *BOTH), resource=PAYROLL))) == PAYROLL


def test_token_for_nobody_in_particular_is_for_this_provider(provider: Provider, party: RelyingParty) -> None:
    tokens = body(party.redeem(party.code()))
    assert audience(provider, party, tokens) == provider.issuer
    assert provider.userinfo(tokens["access_token"]).status_code == 200


def test_token_for_others_opens_nothing_here(provider: Provider, party: RelyingParty) -> None:
    tokens = body(party.redeem(granted(provider, party, PAYROLL)))
    assert provider.userinfo(tokens["access_token"]).status_code == 401
    header = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert provider.get("/session/status", header).status_code == 401
    for_us = body(party.refresh(tokens["refresh_token"], resource=provider.issuer))
    assert audience(provider, party, for_us) == provider.issuer
    assert provider.userinfo(for_us["access_token"]).status_code == 200
    for_both = body(party.refresh(tokens["refresh_token"], resource=[PAYROLL, provider.issuer]))
    assert provider.userinfo(for_both["access_token"]).status_code == 200


@pytest.mark.parametrize(
    "resource",
    [
        OTHER,
        PLANNING,
        [PAYROLL, OTHER],
        f"{PAYROLL}/",
        PAYROLL.upper(),
        f"{PAYROLL}#x",
        "x",
        "\x00",
        "\u2603",
        "x" * 9000,
    ],
    ids=lambda value: str(value)[:30],
)
def test_resource_that_was_not_granted_is_refused_and_uses_nothing_up(provider: Provider, resource: Parameter) -> None:
    # A70
    party = provider.client(resources=BOTH)
    code = granted(provider, party, PAYROLL)
    assert error(party.redeem(code, resource=resource)) == "invalid_target"
    tokens = body(party.redeem(code))
    assert error(party.refresh(tokens["refresh_token"], resource=resource)) == "invalid_target"
    assert party.refresh(tokens["refresh_token"]).status_code == 200


def test_resource_that_was_granted_for_nothing_is_refused(party: RelyingParty) -> None:
    assert error(party.redeem(party.code(), resource=PAYROLL)) == "invalid_target"


def test_resource_that_was_taken_from_the_client_is_in_no_token_any_more(provider: Provider) -> None:
    party = provider.client(resources=BOTH)
    tokens = body(party.redeem(granted(provider, party, *BOTH)))

    def left(*resources: str) -> None:
        with provider.writing() as unit:
            unit.execute(update(Client).where(Client.client_id == party.client_id).values(resources=list(resources)))

    left(PLANNING)
    assert audience(provider, party, body(party.refresh(tokens["refresh_token"]))) == PLANNING
    left()
    # Not a token for this provider in its place: that was not granted either.
    assert error(party.refresh(tokens["refresh_token"])) == "invalid_target"


def test_client_for_itself_names_its_resource(provider: Provider) -> None:
    values = {"grant_types": ["client_credentials"], "response_types": [], "redirect_uris": [], "scope": "reports"}
    party = provider.client(resources=BOTH, access_token_format="jwt", **values)
    ask = {"grant_type": "client_credentials"}
    assert audience(provider, party, body(party.token({**ask, "resource": PAYROLL}))) == PAYROLL
    assert audience(provider, party, body(party.token(ask))) == BOTH
    before = tokens_of(provider)
    assert error(party.token({**ask, "resource": OTHER})) == "invalid_target"
    assert tokens_of(provider) == before


def tokens_of(provider: Provider) -> int:
    with provider.writing() as unit:
        return unit.scalar(select(func.count()).select_from(AccessToken)) or 0


# Who may ask


def test_resource_server_learns_what_a_token_for_it_is_worth(provider: Provider, party: RelyingParty) -> None:
    tokens = body(party.redeem(granted(provider, party, PAYROLL)))
    payroll, planning = resource_server(provider, PAYROLL), resource_server(provider, PLANNING)
    said = introspect(payroll, tokens["access_token"])
    assert said == introspect(party, tokens["access_token"])
    assert (said["client_id"], said["aud"]) == (party.client_id, PAYROLL)
    assert introspect(planning, tokens["access_token"]) == NOT_ACTIVE
    assert introspect(payroll, tokens["refresh_token"]) == NOT_ACTIVE
    assert party.post("/revoke", {"token": tokens["access_token"]}).status_code == 200
    assert introspect(payroll, tokens["access_token"]) == NOT_ACTIVE


def test_token_for_several_is_described_to_each_of_them(provider: Provider, party: RelyingParty) -> None:
    token = body(party.redeem(granted(provider, party, *BOTH)))["access_token"]
    for name in BOTH:
        assert introspect(resource_server(provider, name), token)["aud"] == BOTH


def test_client_that_may_have_tokens_for_a_resource_is_not_its_server(provider: Provider, party: RelyingParty) -> None:
    token = body(party.redeem(granted(provider, party, PAYROLL)))["access_token"]
    assert introspect(provider.client(resources=BOTH), token) == NOT_ACTIVE


def test_resource_server_learns_nothing_of_tokens_for_this_provider(provider: Provider, party: RelyingParty) -> None:
    token = body(party.redeem(party.code()))["access_token"]
    assert introspect(resource_server(provider, PAYROLL), token) == NOT_ACTIVE


def test_resource_server_is_told_the_name_that_the_client_knows_the_person_by(provider: Provider) -> None:
    party = provider.client(resources=BOTH, subject_type="pairwise", sector_identifier="app.example")
    tokens = body(party.redeem(granted(provider, party, PAYROLL)))
    said = introspect(resource_server(provider, PAYROLL), tokens["access_token"])
    assert said["sub"] == provider.claims(tokens["id_token"])["sub"]


def test_resource_server_gets_no_tokens(provider: Provider) -> None:
    server = resource_server(provider, PAYROLL)
    for grant_type in ("client_credentials", "authorization_code", "refresh_token"):
        assert error(server.token({"grant_type": grant_type, "code": "x"})) == "unauthorized_client"
