"""private_key_jwt and client_secret_jwt (RFC 7523 3, OIDC Core 9; demands #38, #39 and #51)."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from idp.audit.events import TokenRequestRefused
from idp.audit.trail import events
from idp.oidc.client_endpoint import ClientRequest
from idp.oidc.clients import Client
from idp.oidc.models import UsedIdentifier
from tests.client_assertions import ASSERTION_TYPE, claims_of, in_body, jwks_of, key_of, signed
from tests.oidc.journeys import FORM, Provider, RelyingParty, body, error, form_encoded

SECOND = timedelta(seconds=1)
MINUTE = 60
METHODS = ("private_key_jwt", "client_secret_jwt")
# What an authenticated client hears about a refresh token that is none.
PASSED = (400, "invalid_grant")
REFUSED = (401, "invalid_client")


def present(provider: Provider, assertion: str, **more: str) -> TestResponse:
    """A token request whose only question is who sends it."""
    shown = {"grant_type": "refresh_token", "refresh_token": "x", **in_body(assertion), **more}
    return provider.post("/token", form_encoded(shown))


def present_at_introspection(provider: Provider, assertion: str) -> TestResponse:
    """The same question where no proof of a key is due, as it is for tokens of the profile `fapi2`."""
    return provider.post("/introspect", form_encoded({"token": "x", **in_body(assertion)}))


def outcome(response: TestResponse) -> tuple[int, str]:
    if response.status_code == 200:
        return PASSED
    return response.status_code, error(response, response.status_code)


@pytest.fixture(params=METHODS)
def signing(provider: Provider, request: pytest.FixtureRequest) -> RelyingParty:
    """A client that authenticates by each of both methods."""
    return provider.client(token_endpoint_auth_method=request.param)


@pytest.fixture
def strict(provider: Provider) -> RelyingParty:
    """A client of the profile `fapi2`."""
    return provider.client(token_endpoint_auth_method="private_key_jwt", profile="fapi2")


def test_client_signs_in_with_its_assertions_and_refreshes(signing: RelyingParty) -> None:
    assert body(signing.refresh(signing.signed_in()["refresh_token"]))["id_token"]


def test_client_id_may_be_sent_as_well(provider: Provider, signing: RelyingParty) -> None:
    # RFC 7521 4.2.
    assert outcome(present(provider, signing.assertion(), client_id=signing.client_id)) == PASSED
    assert outcome(present(provider, signing.assertion(), client_id=signing.client_id + "x")) == REFUSED


@pytest.mark.parametrize("endpoint", ["/introspect", "/revoke", "/session/activity", "/session/status"])
def test_every_endpoint_for_clients_takes_them(provider: Provider, signing: RelyingParty, endpoint: str) -> None:
    for audience in (provider.issuer, f"{provider.issuer}/token", provider.issuer + endpoint):
        shown = {"token": "x", "sid": "x", **in_body(signing.assertion(aud=audience))}
        assert provider.post(endpoint, form_encoded(shown)).status_code in (200, 400), audience
        again = provider.post(endpoint, form_encoded(shown))
        assert error(again, 401) == "invalid_client"


def test_assertion_does_not_belong_into_a_query(provider: Provider, signing: RelyingParty) -> None:
    query = form_encoded({"sid": "x", **in_body(signing.assertion())})
    assert error(provider.get("/session/status", query=query)) == "invalid_request"


# Audience (#38)

AUDIENCES: list[tuple[Any, bool, bool]] = [
    ("{issuer}", True, True),
    ("{issuer}/token", True, False),
    (["{issuer}/token"], True, False),
    (["{issuer}"], True, False),
    (["https://other.example", "{issuer}"], True, False),
    ("{issuer}/", False, False),
    ("{issuer}/introspect", False, False),
    ("{issuer}/authorize", False, False),
    ("https://other.example", False, False),
    ("{issuer} ", False, False),
    (["https://other.example"], False, False),
    ([], False, False),
    ([["{issuer}"]], False, False),
    ({"{issuer}": 1}, False, False),
    (None, False, False),
    (1, False, False),
    ("", False, False),
]


def _named(audience: Any, issuer: str) -> Any:
    if isinstance(audience, list):
        return [_named(each, issuer) for each in audience]
    if isinstance(audience, dict):
        return {_named(name, issuer): value for name, value in audience.items()}
    return audience.format(issuer=issuer) if isinstance(audience, str) else audience


@pytest.mark.demand(38)
@pytest.mark.parametrize(("audience", "is_for_us", "is_for_us_by_fapi2"), AUDIENCES, ids=str)
def test_audience_is_this_provider_by_the_rules_of_the_profile(
    provider: Provider,
    signing: RelyingParty,
    strict: RelyingParty,
    audience: Any,
    is_for_us: bool,
    is_for_us_by_fapi2: bool,
) -> None:
    named = _named(audience, provider.issuer)
    assert outcome(present(provider, signing.assertion(aud=named))) == (PASSED if is_for_us else REFUSED)
    assert outcome(present_at_introspection(provider, strict.assertion(aud=named))) == (
        PASSED if is_for_us_by_fapi2 else REFUSED
    )


# Time and identifier (#39)


@pytest.mark.demand(39)
@pytest.mark.parametrize(
    ("changes", "is_good"),
    [
        ({"iat": 8}, True),
        ({"nbf": 8}, True),
        ({"nbf": 60}, True),
        ({"iat": 60}, True),
        ({"iat": 61}, False),
        ({"nbf": 61}, False),
        ({"iat": 3600}, False),
        ({"iat": None}, True),
        ({"exp": None}, False),
        ({"exp": 1}, True),
        ({"exp": 0}, False),
        ({"exp": -5 * MINUTE}, False),
        ({"exp": 5 * MINUTE}, True),
        ({"exp": 5 * MINUTE, "iat": None}, True),
        # The client's clock is a minute ahead.
        ({"exp": 6 * MINUTE, "iat": 60}, True),
        ({"exp": 6 * MINUTE + 1, "iat": None}, False),
        # Libraries that let theirs live for an hour; five minutes after iat they are over all the same.
        ({"exp": 60 * MINUTE}, True),
        ({"exp": 60 * MINUTE, "iat": -5 * MINUTE + 1}, True),
        ({"exp": 60 * MINUTE, "iat": -5 * MINUTE}, False),
        ({"exp": 24 * 60 * MINUTE}, False),
        ({"iat": -24 * 60 * MINUTE}, False),
    ],
    ids=str,
)
def test_assertion_is_good_for_five_minutes(
    provider: Provider, signing: RelyingParty, changes: dict[str, int | None], is_good: bool
) -> None:
    now = int(provider.clock.now().timestamp())
    claims = {name: None if offset is None else now + offset for name, offset in changes.items()}
    assert outcome(present(provider, signing.assertion(**claims))) == (PASSED if is_good else REFUSED)


@pytest.mark.parametrize("seconds", [6 * MINUTE + 1, 60 * MINUTE])
def test_fapi2_client_may_not_let_its_assertions_live_longer_than_five_minutes(
    provider: Provider, strict: RelyingParty, seconds: int
) -> None:
    now = int(provider.clock.now().timestamp())
    fine = strict.assertion(aud=provider.issuer, exp=now + 5 * MINUTE)
    far = strict.assertion(aud=provider.issuer, exp=now + seconds)
    assert (outcome(present_at_introspection(provider, fine)), outcome(present_at_introspection(provider, far))) == (
        PASSED,
        REFUSED,
    )


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value", ["1", "", True, [], {}, float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 10**400, "x" * 2000]
)
def test_what_is_no_moment_is_refused(provider: Provider, signing: RelyingParty, name: str, value: Any) -> None:
    assert outcome(present(provider, signing.assertion(**{name: value}))) == REFUSED


def test_moments_may_have_decimals(provider: Provider, signing: RelyingParty) -> None:
    now = provider.clock.now().timestamp()
    assert outcome(present(provider, signing.assertion(iat=now - 0.5, exp=now + 59.25))) == PASSED


@pytest.mark.parametrize("jti", [None, "", 1, ["x"], {}, True])
def test_jti_is_required(provider: Provider, signing: RelyingParty, jti: Any) -> None:
    assert outcome(present(provider, signing.assertion(jti=jti))) == REFUSED


@pytest.mark.demand(39)
def test_assertion_is_good_once(provider: Provider, signing: RelyingParty) -> None:
    assertion = signing.assertion()
    assert outcome(present(provider, assertion)) == PASSED
    assert outcome(present(provider, assertion)) == REFUSED
    provider.clock.move(timedelta(minutes=10))
    assert outcome(present(provider, assertion)) == REFUSED
    # The same jti in another assertion, too; and another client may use it.
    one, other = signing.assertion(jti="a-1"), signing.assertion(jti="a-1", iat=None)
    assert [outcome(present(provider, each)) for each in (one, other)] == [PASSED, REFUSED]
    neighbour = provider.client(token_endpoint_auth_method="private_key_jwt")
    assert outcome(present(provider, neighbour.assertion(jti="a-1"))) == PASSED


def test_assertion_that_is_refused_is_not_used_up_and_writes_nothing(provider: Provider, signing: RelyingParty) -> None:
    def count() -> int:
        with provider.app.app_context(), provider.services.units.reading() as unit:
            return unit.scalar(select(func.count()).select_from(UsedIdentifier)) or 0

    before = count()
    for wrong in ({"aud": "https://other.example"}, {"exp": 1}, {"iss": "x"}, {"sub": "x"}):
        assert outcome(present(provider, signing.assertion(jti="once", **wrong))) == REFUSED
    head, payload, _ = signing.assertion(jti="once").split(".")
    assert outcome(present(provider, f"{head}.{payload}.AAAA")) == REFUSED
    assert count() == before
    assert outcome(present(provider, signing.assertion(jti="once"))) == PASSED
    assert count() == before + 1


def test_assertion_is_used_up_also_by_a_request_that_fails_afterwards(
    provider: Provider, signing: RelyingParty
) -> None:
    assertion = signing.assertion()
    unknown = {"grant_type": "refresh_token", "scope": "openid", **in_body(assertion)}
    assert error(provider.post("/token", form_encoded(unknown))) == "invalid_request"
    assert outcome(present(provider, assertion)) == REFUSED


# Who


@pytest.mark.demand(39)
@pytest.mark.parametrize("name", ["iss", "sub"])
@pytest.mark.parametrize("value", [None, "", "nobody", 1, [], {}, "{id} ", "{ID}", "{id}\x00"])
def test_iss_and_sub_are_the_client(provider: Provider, signing: RelyingParty, name: str, value: Any) -> None:
    if isinstance(value, str):
        value = value.replace("{id}", signing.client_id).replace("{ID}", signing.client_id.upper())
    assert outcome(present(provider, signing.assertion(**{name: value}))) == REFUSED


def test_assertion_of_one_client_does_not_speak_for_another(provider: Provider, signing: RelyingParty) -> None:
    other = provider.client(
        token_endpoint_auth_method="private_key_jwt", jwks=jwks_of(ECKey.generate_key("P-256", auto_kid=True))
    )
    claims = {"iss": other.client_id, "sub": other.client_id}
    assert outcome(present(provider, signing.assertion(**claims))) == REFUSED
    assert outcome(present(provider, signing.assertion(**claims), client_id=signing.client_id)) == REFUSED


@pytest.mark.parametrize(
    "typ", [None, "JWT", "jwt", "client-authentication+jwt", "application/client-authentication+JWT"]
)
def test_typ_of_a_client_assertion_is_taken(provider: Provider, typ: str | None) -> None:
    assert outcome(present(provider, _with_header(provider, typ=typ))) == PASSED


@pytest.mark.parametrize(
    "typ", ["dpop+jwt", "oauth-authz-req+jwt", "at+jwt", "logout+jwt", "secevent+jwt", "JOSE", "", 1, ["JWT"], {}]
)
def test_typ_of_anything_else_is_refused(provider: Provider, typ: Any) -> None:
    # A63, A72: what a client signs for another purpose does not authenticate it (RFC 8725 3.11).
    assert outcome(present(provider, _with_header(provider, typ=typ))) == REFUSED


def _with_header(provider: Provider, alg: str = "ES256", **header: Any) -> str:
    party = provider.client(token_endpoint_auth_method="private_key_jwt")
    claims = claims_of(party.client_id, provider.issuer, provider.clock.now())
    return signed(claims, key_of(alg), alg, **header)


# How


@pytest.mark.parametrize("kind", [None, "", "jwt", ASSERTION_TYPE + "x", ASSERTION_TYPE.replace("jwt", "saml2")])
def test_type_of_the_assertion_is_required(provider: Provider, signing: RelyingParty, kind: str | None) -> None:
    shown = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": signing.client_id}
    sent = {**shown, "client_assertion": signing.assertion(), "client_assertion_type": kind}
    assert error(provider.post("/token", form_encoded(sent)), 401) == "invalid_client"
    alone = form_encoded({**shown, "client_assertion_type": ASSERTION_TYPE})
    assert error(provider.post("/token", alone), 401) == "invalid_client"


@pytest.mark.demand(37)
def test_method_is_the_registered_one(provider: Provider) -> None:
    # #37: whatever a client could prove as well.
    now, key = provider.clock.now(), key_of("ES256")
    for method in ("client_secret_basic", "client_secret_post", "client_secret_jwt"):
        party = provider.client(token_endpoint_auth_method=method, jwks=jwks_of(key))
        claims = claims_of(party.client_id, provider.issuer, now)
        assert outcome(present(provider, signed(claims, key))) == REFUSED
        if method != "client_secret_jwt":
            assert outcome(present(provider, signed(claims, OctKey.import_key(party.secret), "HS256"))) == REFUSED
    party = provider.client(token_endpoint_auth_method="none", jwks=jwks_of(key))
    assert outcome(present(provider, signed(claims_of(party.client_id, provider.issuer, now), key))) == REFUSED


def test_secret_alone_is_not_enough_for_who_signs_with_it(provider: Provider) -> None:
    party = provider.client(token_endpoint_auth_method="client_secret_jwt")
    by_post = RelyingParty(provider, party.client, "client_secret_post")
    by_basic = RelyingParty(provider, party.client)
    unproven = RelyingParty(provider, party.client, "none")
    for wrong in (by_post, by_basic, unproven):
        assert error(wrong.refresh("x"), 401) == "invalid_client"
    assert error(party.refresh("x")) == "invalid_grant"


@pytest.mark.parametrize("registered", ["RS256", "PS256", "ES256", "EdDSA"])
def test_registered_algorithm_is_the_only_one(provider: Provider, registered: str) -> None:
    party = provider.client(token_endpoint_auth_method="private_key_jwt", token_endpoint_auth_signing_alg=registered)
    for alg in ("RS256", "PS256", "ES256", "EdDSA"):
        expected = PASSED if alg == registered else REFUSED
        assert outcome(present(provider, party.assertion(alg))) == expected, alg


@pytest.mark.parametrize("registered", ["HS256", "HS384", "HS512"])
def test_registered_hmac_is_the_only_one(provider: Provider, registered: str) -> None:
    party = provider.client(token_endpoint_auth_method="client_secret_jwt", token_endpoint_auth_signing_alg=registered)
    for alg in ("HS256", "HS384", "HS512"):
        expected = PASSED if alg == registered else REFUSED
        assert outcome(present(provider, party.assertion(alg))) == expected, alg


def test_fapi2_client_does_not_sign_with_rs256(provider: Provider, strict: RelyingParty) -> None:
    # FAPI 2.0 Security Profile 5.4.1.
    for alg in ("PS256", "ES256", "EdDSA"):
        assert outcome(present_at_introspection(provider, strict.assertion(alg, aud=provider.issuer))) == PASSED
    assert outcome(present_at_introspection(provider, strict.assertion("RS256", aud=provider.issuer))) == REFUSED


def test_secret_shorter_than_the_hash_makes_no_hmac(provider: Provider) -> None:
    # RFC 7518 3.2.
    with provider.app.app_context():
        client, secret = provider.services.clients.add(
            "Kort",
            ["https://app.example/"],
            client_secret="x" * 40,
            token_endpoint_auth_method="client_secret_jwt",
            grant_types=("authorization_code", "refresh_token"),
        )
    assert secret is not None
    for alg, expected in (("HS256", PASSED), ("HS384", REFUSED), ("HS512", REFUSED)):
        claims = claims_of(client.client_id, provider.issuer, provider.clock.now())
        assert outcome(present(provider, signed(claims, OctKey.import_key(secret), alg))) == expected


@pytest.mark.demand(51)
def test_keys_without_kid_or_alg_are_used(provider: Provider) -> None:
    # #51: as the certification suite's clients publish theirs.
    for alg in ("RS256", "ES256", "EdDSA"):
        (jwk,) = jwks_of(key_of(alg))["keys"]
        bare = {name: jwk[name] for name in jwk if name not in ("kid", "alg", "use")}
        party = provider.client(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [bare]})
        assert outcome(present(provider, party.assertion(alg))) == PASSED


# Failures


def test_client_hears_nothing_of_what_was_wrong_and_the_audit_trail_all(
    provider: Provider, signing: RelyingParty
) -> None:
    used = signing.assertion()
    present(provider, used)
    wrong = {
        "was used before": used,
        "exp is missing": signing.assertion(exp=None),
        "aud is neither": signing.assertion(aud="https://other.example"),
        "sub of the assertion is no client": signing.assertion(sub="nobody"),
        "is not one that": signing.assertion() + "x",
    }
    said = set()
    for reason, assertion in wrong.items():
        response = present(provider, assertion)
        said.add((response.status_code, response.get_data(), response.headers["WWW-Authenticate"]))
        with provider.app.app_context(), provider.services.units.reading() as unit:
            recorded = events(unit, TokenRequestRefused)[-1].details
        assert reason in recorded["detail"] and recorded["error"] == "invalid_client", recorded
    assert len(said) == 1


def test_log_says_what_was_wrong_where_nothing_is_recorded(
    provider: Provider, signing: RelyingParty, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        provider.post("/introspect", form_encoded({"token": "x", **in_body(signing.assertion(jti=None))}))
    assert f"the assertion of {signing.client_id}: jti is missing" in caplog.text


def test_secret_that_was_sealed_with_a_lost_key_is_no_secret(provider: Provider) -> None:
    party = provider.client(token_endpoint_auth_method="client_secret_jwt")
    other = provider.client(token_endpoint_auth_method="client_secret_jwt")
    with provider.writing() as unit:
        mine, theirs = unit.get(Client, party.client_id), unit.get(Client, other.client_id)
        assert mine is not None and theirs is not None
        mine.client_secret_sealed = theirs.client_secret_sealed
    assert outcome(present(provider, party.assertion())) == REFUSED


def test_respond_never_raises_for_what_is_no_assertion(provider: Provider) -> None:
    nonsense = (
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "e30.e30.e30",
        "\u00e9.\u00e9.\u00e9",
        "x" * 8000,
        "{}",
        "bnVsbA.bnVsbA.",
        "MQ.MQ.MQ",
    )
    with provider.app.app_context():
        for text in nonsense:
            sent = {"grant_type": "refresh_token", "refresh_token": "x", **in_body(text)}
            answer = provider.services.provider.respond(ClientRequest(form_encoded(sent).encode(), FORM, None))
            assert (answer.status, answer.body["error"]) == REFUSED, text
