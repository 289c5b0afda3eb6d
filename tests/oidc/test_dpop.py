"""Tokens bound to a key of their client (RFC 9449; demands 48, 76 to 79): code, refresh, userinfo, session."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from idp import create_app
from idp.audit.events import TokenRequestRefused
from idp.audit.trail import events
from idp.kernel.secrets import hash_secret
from idp.oidc.clients import Client
from idp.oidc.models import AccessToken, AuthorizationCode, RefreshFamily, UsedIdentifier
from tests.conftest import dispose, make_settings
from tests.oidc.journeys import Parameter, Provider, RelyingParty, basic, body, error, form_encoded
from tests.proofs import ProofKey

KEY, OTHER_KEY = ProofKey(), ProofKey("PS256")


@dataclass(frozen=True)
class Prover:
    """A client that proves to have a key in whatever it sends; None as a proof sends none."""

    party: RelyingParty
    key: ProofKey = KEY
    nonce: str | None = None
    sent: list[str] = field(default_factory=list)

    @property
    def provider(self) -> Provider:
        return self.party.provider

    def with_key(self, key: ProofKey) -> "Prover":
        return replace(self, key=key)

    def proof(self, method: str, path: str, access_token: str | None = None) -> str:
        address = self.provider.issuer + path
        made = self.key.proof(method, address, self.provider.clock.now(), access_token, self.nonce)
        self.sent.append(made)
        return made

    def token(self, data: Mapping[str, Parameter], proof: str | None = "") -> TestResponse:
        """`proof`: made for this request, unless there is another, or None."""
        made = self.proof("POST", "/token") if proof == "" else proof
        headers = {} if made is None else {"DPoP": made}
        if self.party.client.secret is None:
            return self.party.token({"client_id": self.party.client_id, **data}, headers)
        return self.party.token(data, {"Authorization": basic(self.party.client_id, self.party.secret), **headers})

    def redeem(self, code: str, proof: str | None = "", **changes: Parameter) -> TestResponse:
        return self.token(self.party.code_request(code, **changes), proof)

    def refresh(self, refresh_token: str, proof: str | None = "", **changes: Parameter) -> TestResponse:
        return self.token({"grant_type": "refresh_token", "refresh_token": refresh_token, **changes}, proof)

    def signed_in(self) -> dict[str, Any]:
        return body(self.redeem(self.party.code()))

    def get(self, path: str, token: str, proof: str | None = "", scheme: str = "DPoP") -> TestResponse:
        """What the access token opens."""
        made = self.proof("GET", path, token) if proof == "" else proof
        headers = {"Authorization": f"{scheme} {token}"} | ({} if made is None else {"DPoP": made})
        return self.provider.get(path, headers)


@pytest.fixture
def confidential(provider: Provider) -> Prover:
    return Prover(provider.client(session_activity="reported"))


@pytest.fixture
def public(provider: Provider) -> Prover:
    return Prover(provider.public_client())


@pytest.fixture(params=["confidential", "public"])
def prover(request: pytest.FixtureRequest, provider: Provider) -> Prover:
    return Prover(provider.client() if request.param == "confidential" else provider.public_client())


def rows(provider: Provider, *models: type) -> list[int]:
    with provider.writing() as unit:
        return [unit.scalar(select(func.count()).select_from(model)) or 0 for model in models]


def bind_code(provider: Provider, code: str, jkt: str) -> None:
    """As an authorization request with `dpop_jkt` does (RFC 9449 10)."""
    mine = AuthorizationCode.code_hash == hash_secret(code)
    with provider.writing() as unit:
        unit.execute(update(AuthorizationCode).where(mine).values(dpop_jkt=jkt))


def change(prover: Prover, **values: Any) -> None:
    """The registration of its client is another one from now on."""
    with prover.provider.writing() as unit:
        unit.execute(update(Client).where(Client.client_id == prover.party.client_id).values(**values))


# Tokens


@pytest.mark.demand(79)
def test_proof_binds_the_access_token_to_its_key(prover: Prover) -> None:
    tokens = prover.signed_in()
    assert tokens["token_type"] == "DPoP"
    assert body(prover.get("/userinfo", tokens["access_token"]))["sub"]
    refreshed = body(prover.refresh(tokens["refresh_token"]))
    assert refreshed["token_type"] == "DPoP"
    assert body(prover.get("/userinfo", refreshed["access_token"]))["sub"]


def test_without_a_proof_tokens_are_bearer_tokens(prover: Prover) -> None:
    tokens = body(prover.redeem(prover.party.code(), proof=None))
    assert tokens["token_type"] == "Bearer"
    assert body(prover.refresh(tokens["refresh_token"], proof=None))["token_type"] == "Bearer"


def test_jwt_access_token_names_the_key(provider: Provider) -> None:
    prover = Prover(provider.client(access_token_format="jwt"))
    tokens = prover.signed_in()
    assert provider.claims(tokens["access_token"])["cnf"] == {"jkt": KEY.jkt}
    assert body(prover.get("/userinfo", tokens["access_token"]))["sub"]
    assert "cnf" not in provider.claims(prover.party.signed_in()["access_token"])


def test_introspection_names_the_key(confidential: Prover) -> None:
    tokens = confidential.signed_in()
    said = body(confidential.party.post("/introspect", {"token": tokens["access_token"]}))
    assert (said["token_type"], said["cnf"]) == ("DPoP", {"jkt": KEY.jkt})
    assert "cnf" not in body(confidential.party.post("/introspect", {"token": tokens["refresh_token"]}))
    unbound = body(confidential.party.post("/introspect", {"token": confidential.party.signed_in()["access_token"]}))
    assert unbound["token_type"] == "Bearer" and "cnf" not in unbound


@pytest.mark.demand(79)
@pytest.mark.parametrize("values", [{"dpop_bound_access_tokens": True}, {"profile": "fapi2"}])
def test_client_that_is_registered_for_it_gets_no_other_tokens(provider: Provider, values: dict[str, Any]) -> None:
    # Demand 79; RFC 9449 5.2, FAPI 2.0 Security Profile 5.3.2.1.
    prover = Prover(provider.client())
    code = prover.party.code()
    change(prover, **values)
    assert error(prover.redeem(code, proof=None)) == "invalid_request"
    tokens = body(prover.redeem(code))
    assert error(prover.refresh(tokens["refresh_token"], proof=None)) == "invalid_request"
    assert body(prover.refresh(tokens["refresh_token"]))["token_type"] == "DPoP"


def test_client_of_fapi2_proves_with_no_rs256(provider: Provider) -> None:
    prover, rsa = Prover(provider.client()), ProofKey("RS256")
    code = prover.party.code()
    change(prover, profile="fapi2")
    assert error(prover.with_key(rsa).redeem(code)) == "invalid_dpop_proof"
    assert body(prover.redeem(code))
    assert Prover(provider.client(), rsa).signed_in()


# Wrong proofs at the token endpoint


def _of_another_endpoint(prover: Prover) -> str:
    return prover.proof("POST", "/userinfo")


def _for_a_get(prover: Prover) -> str:
    return prover.proof("GET", "/token")


def _old(prover: Prover) -> str:
    at = prover.provider.clock.now() - timedelta(hours=1)
    return prover.key.proof("POST", prover.provider.issuer + "/token", at)


def _twice(prover: Prover) -> str:
    return f"{prover.proof('POST', '/token')}, {prover.proof('POST', '/token')}"


def _of_the_host_header(prover: Prover) -> str:
    return prover.key.proof("POST", "https://evil.example/token", prover.provider.clock.now())


WRONG: list[Callable[[Prover], str]] = [
    _of_another_endpoint,
    _for_a_get,
    _old,
    _twice,
    _of_the_host_header,
    lambda _: " ",
    lambda _: "e30.e30.e30",
]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_proof_is_refused_writes_nothing_and_uses_nothing_up(
    prover: Prover, wrong: Callable[[Prover], str]
) -> None:
    code = prover.party.code()
    before = rows(prover.provider, AccessToken, RefreshFamily, UsedIdentifier)
    assert error(prover.redeem(code, wrong(prover))) == "invalid_dpop_proof"
    assert rows(prover.provider, AccessToken, RefreshFamily, UsedIdentifier) == before
    tokens = body(prover.redeem(code))
    assert error(prover.refresh(tokens["refresh_token"], wrong(prover))) == "invalid_dpop_proof"
    assert body(prover.refresh(tokens["refresh_token"]))


def test_host_header_does_not_say_what_the_address_is(provider: Provider) -> None:
    # A43: the proof is for an attacker's address, and the request says that we are it.
    prover = Prover(provider.client())
    code = prover.party.code()
    response = provider.app.test_client(use_cookies=False).post(
        provider.path + "/token",
        base_url="https://evil.example",
        data=form_encoded(prover.party.code_request(code)),
        headers={
            "Authorization": basic(prover.party.client_id, prover.party.secret),
            "DPoP": _of_the_host_header(prover),
            "X-Forwarded-Host": "evil.example",
        },
        content_type="application/x-www-form-urlencoded",
    )
    assert response.status_code == 400
    assert body(prover.redeem(code))


def test_proof_is_good_once_and_its_second_request_is_undone(prover: Prover) -> None:
    code, proof = prover.party.code(), prover.proof("POST", "/token")
    assert body(prover.redeem(code, proof))
    next_code = prover.party.code()
    assert error(prover.redeem(next_code, proof)) == "invalid_dpop_proof"
    tokens = body(prover.redeem(next_code))
    assert error(prover.refresh(tokens["refresh_token"], proof)) == "invalid_dpop_proof"
    assert body(prover.refresh(tokens["refresh_token"]))


def test_same_identifier_of_another_key_is_another_proof(prover: Prover) -> None:
    address, now, jti = prover.provider.issuer + "/token", prover.provider.clock.now(), str(uuid4())
    for key in (KEY, OTHER_KEY):
        proof = key.signed(key.header(), key.claims("POST", address, now, jti=jti))
        assert body(prover.redeem(prover.party.code(), proof))


def test_proof_of_a_refused_request_is_not_used_up(prover: Prover) -> None:
    proof = prover.proof("POST", "/token")
    before = rows(prover.provider, UsedIdentifier)
    assert error(prover.redeem("no-code-of-ours", proof)) == "invalid_grant"
    assert error(prover.refresh("no-token-of-ours", proof)) == "invalid_grant"
    assert rows(prover.provider, UsedIdentifier) == before
    assert body(prover.redeem(prover.party.code(), proof))


# Codes that are bound to a key


@pytest.mark.demand(78)
def test_bound_code_is_redeemed_with_its_key_only_and_survives_others(prover: Prover) -> None:
    # Demand 78; RFC 9449 10.
    code = prover.party.code()
    bind_code(prover.provider, code, KEY.jkt)
    assert error(prover.redeem(code, proof=None)) == "invalid_grant"
    assert error(prover.with_key(OTHER_KEY).redeem(code)) == "invalid_grant"
    tokens = body(prover.redeem(code))
    assert tokens["token_type"] == "DPoP"


def test_bound_code_that_comes_back_with_another_key_revokes_nothing(prover: Prover) -> None:
    code = prover.party.code()
    bind_code(prover.provider, code, KEY.jkt)
    tokens = body(prover.redeem(code))
    assert error(prover.with_key(OTHER_KEY).redeem(code)) == "invalid_grant"
    assert body(prover.get("/userinfo", tokens["access_token"]))
    assert error(prover.redeem(code)) == "invalid_grant"
    assert prover.get("/userinfo", tokens["access_token"]).status_code == 401


# Refresh tokens


@pytest.mark.demand(48)
def test_confidential_client_may_come_with_another_key(confidential: Prover) -> None:
    # Demand 48: its refresh tokens are bound by its authentication.
    tokens = confidential.signed_in()
    other = confidential.with_key(OTHER_KEY)
    refreshed = body(other.refresh(tokens["refresh_token"]))
    assert body(other.get("/userinfo", refreshed["access_token"]))
    assert confidential.get("/userinfo", refreshed["access_token"]).status_code == 401


@pytest.mark.demand(48)
def test_public_client_is_refused_with_another_key_and_keeps_its_family(public: Prover) -> None:
    # Demand 48; RFC 9449 5.
    token = public.signed_in()["refresh_token"]
    for _ in range(2):
        assert error(public.with_key(OTHER_KEY).refresh(token)) == "invalid_grant"
        assert error(public.refresh(token, proof=None)) == "invalid_grant"
    successor = body(public.refresh(token))["refresh_token"]
    public.provider.clock.move(timedelta(minutes=2))
    # A superseded one ends the family in the hands of its owner only.
    assert error(public.with_key(OTHER_KEY).refresh(token)) == "invalid_grant"
    assert error(public.refresh(token, proof=None)) == "invalid_grant"
    assert body(public.refresh(successor))
    assert error(public.refresh(token)) == "invalid_grant"
    assert error(public.refresh(successor)) == "invalid_grant"


def test_lost_answer_is_given_again_to_the_same_key_only(public: Prover) -> None:
    token = public.signed_in()["refresh_token"]
    successor = body(public.refresh(token))["refresh_token"]
    assert error(public.with_key(OTHER_KEY).refresh(token)) == "invalid_grant"
    assert error(public.refresh(token, proof=None)) == "invalid_grant"
    again = body(public.refresh(token))
    assert again["refresh_token"] == successor and again["token_type"] == "DPoP"


def test_family_of_a_public_client_is_bound_from_its_first_proof_on(public: Prover) -> None:
    token = body(public.redeem(public.party.code(), proof=None))["refresh_token"]
    refreshed = body(public.refresh(token))
    assert refreshed["token_type"] == "DPoP"
    assert error(public.refresh(refreshed["refresh_token"], proof=None)) == "invalid_grant"
    assert error(public.with_key(OTHER_KEY).refresh(refreshed["refresh_token"])) == "invalid_grant"
    assert body(public.refresh(refreshed["refresh_token"]))


# What the tokens open

OPENED = ["/userinfo", "/session/status"]


def challenge(response: TestResponse, scheme: str, status: int = 401) -> str:
    """The error of the challenge for this scheme; the one for the other names none."""
    assert response.status_code == status, response.text
    (header,) = response.headers.getlist("WWW-Authenticate")
    (other_scheme,) = {"Bearer", "DPoP"} - {scheme}
    used, found_between, other = header.partition(f", {other_scheme} realm=")
    assert used.startswith(f'{scheme} realm="') and found_between
    assert "error" not in other
    bound = used if scheme == "DPoP" else other
    assert 'algs="RS256 PS256 ES256 EdDSA"' in bound
    found = str(response.get_json().get("error", ""))
    assert f'error="{found}"' in used if found else "error" not in used
    return found


@pytest.mark.demand(79)
@pytest.mark.parametrize("path", OPENED)
def test_bound_token_is_no_bearer_token(confidential: Prover, path: str) -> None:
    # Demand 79; RFC 9449 7.2.
    token = confidential.signed_in()["access_token"]
    assert challenge(confidential.get(path, token, None, "Bearer"), "Bearer") == "invalid_token"
    assert challenge(confidential.get(path, token, scheme="Bearer"), "Bearer") == "invalid_token"
    assert body(confidential.get(path, token))


def test_bound_token_is_not_taken_from_a_body(confidential: Prover) -> None:
    token = confidential.signed_in()["access_token"]
    content, proof = form_encoded({"access_token": token}), confidential.proof("POST", "/userinfo", token)
    assert challenge(confidential.provider.post("/userinfo", content), "Bearer") == "invalid_token"
    assert challenge(confidential.provider.post("/userinfo", content, {"DPoP": proof}), "Bearer") == "invalid_token"
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
    assert challenge(confidential.provider.post("/userinfo", content, headers), "Bearer", 400) == "invalid_request"
    assert body(confidential.provider.post("/userinfo", "", headers))["sub"]


@pytest.mark.parametrize("path", OPENED)
def test_unbound_token_is_not_shown_with_a_proof(confidential: Prover, path: str) -> None:
    token = confidential.party.signed_in()["access_token"]
    assert challenge(confidential.get(path, token), "DPoP") == "invalid_token"
    assert challenge(confidential.get(path, token, None), "DPoP") == "invalid_token"
    assert body(confidential.get(path, token, None, "Bearer"))


@pytest.mark.parametrize("scheme", ["dpop", "DPOP", "dPoP", "DPoP "])
def test_scheme_is_case_insensitive(confidential: Prover, scheme: str) -> None:
    token = confidential.signed_in()["access_token"]
    assert body(confidential.get("/userinfo", token, scheme=scheme))


@pytest.mark.demand(76)
@pytest.mark.parametrize("path", OPENED)
def test_proof_is_needed_right_and_used_up(confidential: Prover, path: str) -> None:
    # Demand 76.
    token = confidential.signed_in()["access_token"]
    other = confidential.party.signed_in()["access_token"]
    address, now = confidential.provider.issuer + path, confidential.provider.clock.now()
    wrong = [
        None,
        "",
        "e30.e30.e30",
        confidential.proof("GET", path),
        confidential.proof("GET", path, other),
        confidential.proof("POST", path, token),
        confidential.proof("GET", "/token", token),
        KEY.proof("GET", address, now - timedelta(hours=1), token),
        KEY.proof("GET", address, now + timedelta(hours=1), token),
        ", ".join(confidential.proof("GET", path, token) for _ in range(2)),
        KEY.signed(KEY.header(jwk=KEY.private_jwk), KEY.claims("GET", address, now)),
    ]
    before = rows(confidential.provider, UsedIdentifier)
    for proof in wrong:
        response = confidential.get(path, token, proof or None)
        assert challenge(response, "DPoP") == "invalid_dpop_proof"
    assert challenge(confidential.with_key(OTHER_KEY).get(path, token), "DPoP") == "invalid_token"
    assert rows(confidential.provider, UsedIdentifier) == before
    proof = confidential.proof("GET", path, token)
    assert body(confidential.get(path, token, proof))
    assert challenge(confidential.get(path, token, proof), "DPoP") == "invalid_dpop_proof"
    assert body(confidential.get(path, token))


@pytest.mark.parametrize("path", OPENED)
@pytest.mark.parametrize("token", ["unknown", "a b", "\u00e9", "e30.e30.e30", "x" * 5000])
def test_unknown_token_is_refused_before_its_proof_is_looked_at(confidential: Prover, path: str, token: str) -> None:
    assert challenge(confidential.get(path, token, "whatever"), "DPoP") == "invalid_token"


def test_client_of_fapi2_shows_its_token_with_no_rs256(provider: Provider) -> None:
    # One RSA key for both algorithms: the token is bound to it, and the proof is refused for how it was signed.
    key = ProofKey("PS256")
    prover = Prover(provider.client(), key)
    token = prover.signed_in()["access_token"]
    change(prover, profile="fapi2")
    assert body(prover.get("/userinfo", token))
    key.alg = "RS256"
    assert challenge(prover.get("/userinfo", token), "DPoP") == "invalid_dpop_proof"


def test_session_is_reported_active_with_a_bound_token(confidential: Prover) -> None:
    token = confidential.signed_in()["access_token"]
    proof = confidential.proof("POST", "/session/activity", token)
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
    assert body(confidential.provider.post("/session/activity", "", headers))["active"]
    assert challenge(confidential.provider.post("/session/activity", "", headers), "DPoP") == "invalid_dpop_proof"
    bearer = {"Authorization": f"Bearer {token}"}
    assert challenge(confidential.provider.post("/session/activity", "", bearer), "Bearer") == "invalid_token"


def test_missing_scope_is_named_in_the_challenge_of_the_scheme(confidential: Prover) -> None:
    token = confidential.signed_in()["access_token"]
    with confidential.provider.writing() as unit:
        unit.execute(update(AccessToken).where(AccessToken.dpop_jkt == KEY.jkt).values(scope="profile"))
    assert challenge(confidential.get("/userinfo", token), "DPoP", 403) == "insufficient_scope"


# Nonces


@pytest.fixture
def demanding(provider: Provider) -> Iterator[Prover]:
    """A client at a node that demands nonces, on the same database."""
    url = provider.services.settings.database.url
    app = create_app(make_settings(str(url), tokens={"dpop_nonce": "on"}), provider.clock)
    made = replace(provider, app=app, make=type(provider.make)(app), desks=[])
    yield Prover(made.client())
    dispose(app)


@pytest.mark.demand(77)
def test_nonce_is_asked_for_once_and_rolls(demanding: Prover) -> None:
    # Demand 77; RFC 9449 8 and 9.
    code = demanding.party.code()
    asked = demanding.redeem(code)
    assert error(asked) == "use_dpop_nonce"
    knowing = replace(demanding, nonce=asked.headers["DPoP-Nonce"])
    answer = knowing.redeem(code)
    tokens = body(answer)
    assert answer.headers["DPoP-Nonce"] == knowing.nonce
    asked = demanding.get("/userinfo", tokens["access_token"])
    assert challenge(asked, "DPoP") == "use_dpop_nonce"
    assert asked.headers["DPoP-Nonce"] == knowing.nonce
    assert body(knowing.get("/userinfo", tokens["access_token"]))
    demanding.provider.clock.move(timedelta(minutes=5))
    answer = knowing.refresh(tokens["refresh_token"])
    next_nonce = answer.headers["DPoP-Nonce"]
    assert body(answer) and next_nonce != knowing.nonce
    demanding.provider.clock.move(timedelta(minutes=5))
    assert error(knowing.refresh(tokens["refresh_token"])) == "use_dpop_nonce"
    assert body(replace(knowing, nonce=next_nonce).refresh(tokens["refresh_token"]))


def test_proof_with_a_nonce_is_good_once(demanding: Prover) -> None:
    code = demanding.party.code()
    knowing = replace(demanding, nonce=demanding.redeem(code).headers["DPoP-Nonce"])
    proof = knowing.proof("POST", "/token")
    tokens = body(knowing.redeem(code, proof))
    knowing.provider.clock.move(timedelta(minutes=4))
    assert error(knowing.refresh(tokens["refresh_token"], proof)) == "invalid_dpop_proof"


def test_without_a_proof_there_is_no_nonce(demanding: Prover, confidential: Prover) -> None:
    assert "DPoP-Nonce" not in demanding.redeem(demanding.party.code(), None).headers
    assert "DPoP-Nonce" not in confidential.redeem(confidential.party.code()).headers


def test_refusal_of_a_proof_is_in_the_audit_trail(confidential: Prover) -> None:
    assert error(confidential.redeem(confidential.party.code(), "wrong")) == "invalid_dpop_proof"
    with confidential.provider.writing() as unit:
        (refused,) = events(unit, TokenRequestRefused, client_id=confidential.party.client_id)
        assert refused.details["error"] == "invalid_dpop_proof"
