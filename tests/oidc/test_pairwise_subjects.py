"""Pairwise subjects (OIDC Core 8.1): who knows a person by which name. #59: the same name in every place."""

from typing import Any

import pytest
from sqlalchemy import select

from idp.kernel.secrets import DerivedKeys
from idp.oidc.clients import Client
from idp.oidc.subjects import Subjects
from idp.outbox.models import OutboxMessage
from idp.sessions.models import Session
from tests.oidc.journeys import Answer, Provider, RelyingParty, body

SECTOR = "app.example"


def pairwise(provider: Provider, sector: str = SECTOR, **values: Any) -> RelyingParty:
    return provider.client(subject_type="pairwise", sector_identifier=sector, **values)


def sub_of(provider: Provider, tokens: dict[str, Any]) -> str:
    return str(provider.claims(tokens["id_token"])["sub"])


def test_two_sectors_know_a_person_by_two_names_and_one_sector_by_one(provider: Provider) -> None:
    anna, bram = provider.somebody(), provider.somebody(username="bram")
    here, there = pairwise(provider), pairwise(provider)
    elsewhere = pairwise(provider, "other.example")
    seen = [sub_of(provider, party.signed_in(anna)) for party in (here, there, elsewhere)]
    assert seen[0] == seen[1] != seen[2]
    assert anna.sub not in seen
    assert sub_of(provider, here.signed_in(bram)) not in (*seen, bram.sub)
    assert all(len(sub) == 43 and sub.isascii() for sub in seen)
    assert sub_of(provider, provider.client().signed_in(anna)) == anna.sub


@pytest.mark.demand(59)
@pytest.mark.parametrize("access_token_format", ["opaque", "jwt"])
@pytest.mark.parametrize("kind", ["confidential", "public"])
def test_name_is_the_same_in_every_place(provider: Provider, access_token_format: str, kind: str) -> None:
    anna = provider.somebody()
    more = {"token_endpoint_auth_method": "none", "application_type": "browser"} if kind == "public" else {}
    party = pairwise(provider, access_token_format=access_token_format, **more)
    tokens = party.signed_in(anna)
    sub = sub_of(provider, tokens)
    assert sub != anna.sub
    assert body(provider.userinfo(tokens["access_token"]))["sub"] == sub
    refreshed = body(party.refresh(tokens["refresh_token"]))
    assert sub_of(provider, refreshed) == sub
    assert body(provider.userinfo(refreshed["access_token"]))["sub"] == sub
    if access_token_format == "jwt":
        assert provider.claims(tokens["access_token"])["sub"] == sub
    if kind == "confidential":
        for name in ("access_token", "refresh_token"):
            assert body(party.post("/introspect", {"token": refreshed[name]}))["sub"] == sub


def test_notice_of_a_session_that_ended_names_the_person_as_each_client_does(provider: Provider) -> None:
    anna, browser = provider.somebody(), provider.browser()
    address = "https://app.example/backchannel-logout"
    parties = [
        pairwise(provider, backchannel_logout_uri=address),
        pairwise(provider, "other.example", backchannel_logout_uri=address),
        provider.client(backchannel_logout_uri=address),
    ]
    tokens = [body(party.redeem(browser.sign_in(party, anna).values["code"])) for party in parties]
    expected = {party.client_id: sub_of(provider, each) for party, each in zip(parties, tokens, strict=True)}
    with provider.writing() as unit:
        sid = provider.claims(tokens[0]["id_token"])["sid"]
        session = unit.scalars(select(Session).filter_by(sid=sid)).one()
        provider.services.sessions.end(unit, session, "logout")
        messages = unit.scalars(select(OutboxMessage).filter_by(subject=sid)).all()
        told = {message.receiver: message.payload["sub"] for message in messages}
    assert told == expected
    assert len(set(told.values())) == 3


def test_hint_names_the_person_as_the_client_knows_them(provider: Provider) -> None:
    anna, bram = provider.somebody(), provider.somebody(username="bram")
    party, browser = pairwise(provider), provider.browser()
    tokens = body(party.redeem(browser.sign_in(party, anna).values["code"]))
    assert "code" in browser.silent(party, id_token_hint=tokens["id_token"]).values
    sub = sub_of(provider, tokens)
    assert "code" in browser.silent(party, claims=f'{{"id_token": {{"sub": {{"value": "{sub}"}}}}}}').values
    of_bram = party.signed_in(bram)["id_token"]
    assert browser.silent(party, id_token_hint=of_bram).values["error"] == "login_required"
    # The name that other clients know the person by is none here: nobody can find out that the two are one.
    named = f'{{"id_token": {{"sub": {{"value": "{anna.sub}"}}}}}}'
    assert browser.silent(party, claims=named).values["error"] == "login_required"
    public = provider.client().signed_in(anna)["id_token"]
    assert browser.silent(party, id_token_hint=public).values["error"] == "login_required"


def test_hint_leads_to_who_signs_in_as_that_person(provider: Provider) -> None:
    anna, browser = provider.somebody(), provider.browser()
    party = pairwise(provider)
    hint = party.signed_in(anna)["id_token"]
    answer = Answer.read(browser.finish(browser.authorize(party, id_token_hint=hint), anna))
    assert body(party.redeem(answer.values["code"]))


def test_name_outlives_a_change_of_the_secret_key() -> None:
    client = Client(client_id="x", subject_type="pairwise", sector_identifier=SECTOR)
    first, second = Subjects(DerivedKeys("a" * 40)), Subjects(DerivedKeys("b" * 40))
    assert first.of_sub(client, "sub") == Subjects(DerivedKeys("a" * 40)).of_sub(client, "sub")
    assert first.of_sub(client, "sub") != second.of_sub(client, "sub")


def test_pairwise_client_without_a_sector_is_no_public_one() -> None:
    with pytest.raises(RuntimeError):
        Subjects(DerivedKeys("a" * 40)).of_sub(Client(client_id="x", subject_type="pairwise"), "sub")
