"""Signing keys: what is published, what is kept, when a key signs (RFC 7517, RFC 7638, RFC 8725, OIDC Core 10.1)."""

import json
import shutil
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from sqlalchemy import select

from idp import create_app
from idp.kernel.clock import FixedClock
from idp.kernel.envelope import CannotOpen, Envelope
from idp.oidc import keys
from idp.oidc.keys import Keys
from idp.oidc.models import SigningKey
from idp.schema import metadata
from idp.wiring import Services
from tests.conftest import ISSUER, SECRET_KEY, START, dispose, make_settings
from tests.factories import Factories
from tests.oidc.journeys import Provider, RelyingParty, body

PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def own(app: Flask, clock: FixedClock) -> Provider:
    """A provider of this test alone, whose keys may be changed."""
    return Provider(app, clock, Factories(app))


def _published(provider: Provider) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body(provider.get("/jwks"))["keys"]
    return found


def _header(provider: Provider, party: RelyingParty) -> dict[str, Any]:
    return dict(provider.decoded(party.signed_in()["id_token"]).header)


def _thumbprint(jwk: dict[str, str]) -> str:
    """RFC 7638 3, written down a second time."""
    names = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    canonical = json.dumps({name: jwk[name] for name in names}, separators=(",", ":"), sort_keys=True)
    return urlsafe_b64encode(sha256(canonical.encode()).digest()).rstrip(b"=").decode()


def _add(provider: Provider, alg: str, signs_in: timedelta) -> str:
    """A further key of this algorithm, which signs after that time; its kid."""
    now = provider.clock.now()
    with provider.writing() as unit:
        return keys.create(unit, provider.services.envelope, alg, now, signs_from=now + signs_in).kid


# What is published


def test_key_set_is_public_and_may_be_kept_for_a_while(provider: Provider) -> None:
    response = provider.get("/jwks")
    assert body(response)["keys"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cache-Control"] == "public, max-age=300"


@pytest.mark.demand("E1", 70)
def test_published_keys_have_no_private_members(provider: Provider) -> None:
    for key in _published(provider):
        assert not PRIVATE & set(key)
        own = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}[key["kty"]]
        assert set(key) == {"kty", "use", "alg", "kid"} | own
        assert key["use"] == "sig"


@pytest.mark.demand(70)
def test_published_keys_are_strong_enough(provider: Provider) -> None:
    for key in _published(provider):
        if key["kty"] == "RSA":
            modulus = urlsafe_b64decode(key["n"] + "==")
            assert int.from_bytes(modulus, "big").bit_length() >= 2048
            assert key["e"] == "AQAB"
        else:
            assert (key["crv"], key["alg"]) in {("P-256", "ES256"), ("Ed25519", "EdDSA")}


@pytest.mark.demand("E1", 69)
def test_key_identifiers_are_distinct_thumbprints(own: Provider) -> None:
    _add(own, "RS256", MINUTE)
    _add(own, "ES256", MINUTE)
    own.clock.move(MINUTE)
    published = _published(own)
    assert len(published) == len(keys.ALGORITHMS) + 2
    assert len({key["kid"] for key in published}) == len(published)
    assert all(key["kid"] == _thumbprint(key) for key in published)


# What is kept


def test_private_keys_are_never_in_the_database_in_readable_form(own: Provider) -> None:
    with own.app.app_context(), own.services.units.reading() as unit:
        rows = unit.scalars(select(SigningKey)).all()
        opened = {row.kid: own.services.envelope.open(row.private_sealed, f"signing_keys:{row.kid}") for row in rows}
        everything = b""
        for table in metadata.sorted_tables:
            for values in unit.execute(select(table)):
                everything += b"".join(each if isinstance(each, bytes) else str(each).encode() for each in values)
    for row in rows:
        kind = {"RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey}[row.alg]
        key = kind.import_key(opened[row.kid])
        private = {name: value for name, value in key.as_dict(private=True).items() if name in PRIVATE}
        assert private
        for value in private.values():
            raw = urlsafe_b64decode(str(value) + "==")
            assert str(value).encode() not in everything
            assert raw not in everything
        assert opened[row.kid] not in everything
    assert b"PRIVATE KEY" not in everything


def test_database_file_holds_no_private_key(sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "idp.db"
    shutil.copyfile(sqlite_template, path)
    application = create_app(make_settings(f"sqlite:///{path}"), FixedClock(START))
    with application.app_context():
        application.extensions["idp"].signing_keys.ensure()
        application.extensions["idp"].keys.sign("RS256", {})
    content = b"".join(each.read_bytes() for each in sorted(tmp_path.glob("idp.db*")))
    dispose(application)
    assert b"public_jwk" in content
    assert b"PRIVATE KEY" not in content
    assert b'"d":' not in content


def test_sealed_key_opens_only_in_its_own_row_and_with_the_right_secret(own: Provider) -> None:
    with own.app.app_context(), own.services.units.reading() as unit:
        first, second = unit.scalars(select(SigningKey).order_by(SigningKey.kid).limit(2)).all()
    with pytest.raises(CannotOpen):
        own.services.envelope.open(first.private_sealed, f"signing_keys:{second.kid}")
    with pytest.raises(CannotOpen):
        Envelope("another secret key of the installation, 9876543210").open(
            first.private_sealed, f"signing_keys:{first.kid}"
        )


def test_keys_sealed_with_an_earlier_secret_still_sign(own: Provider) -> None:
    services = own.services
    later = Envelope("another secret key of the installation, 9876543210", [SECRET_KEY])
    with own.app.app_context():
        signed = Keys(services.units, later, own.clock).sign("ES256", {"iss": ISSUER})
    assert own.claims(signed) == {"iss": ISSUER}


# When a key signs


@pytest.mark.parametrize("alg", keys.ALGORITHMS)
def test_new_key_is_published_before_it_signs_and_the_old_one_stays_published(own: Provider, alg: str) -> None:
    party = own.client(id_token_signed_response_alg=alg)
    before = party.signed_in()["id_token"]
    old = str(own.decoded(before).header["kid"])
    new = _add(own, alg, 10 * MINUTE)
    own.clock.move(MINUTE)
    assert {old, new} <= {key["kid"] for key in _published(own)}
    assert _header(own, party)["kid"] == old
    own.clock.move(9 * MINUTE)
    assert _header(own, party)["kid"] == new
    assert {old, new} <= {key["kid"] for key in _published(own)}
    # Tokens that the old key signed still verify.
    assert own.claims(before)["iss"] == own.issuer


def test_retired_key_is_neither_published_nor_believed(own: Provider) -> None:
    party = own.client()
    token = party.signed_in()["id_token"]
    kid = str(own.decoded(token).header["kid"])
    _add(own, "RS256", timedelta(0))
    with own.writing() as unit:
        row = unit.get(SigningKey, kid)
        assert row is not None
        row.retired_at = own.clock.now()
    own.clock.move(MINUTE)
    assert kid not in {key["kid"] for key in _published(own)}
    with own.app.app_context():
        assert own.services.keys.verified_id_token(token, ISSUER) is None


def test_every_installation_has_a_key_for_each_algorithm_and_keeps_it(own: Provider) -> None:
    with own.app.app_context():
        assert own.services.signing_keys.ensure() == ()
    assert {key["alg"] for key in _published(own)} == set(keys.ALGORITHMS)


# What counts as a token of ours


@pytest.fixture
def forging(own: Provider) -> tuple[Services, dict[str, Any], str]:
    """The services, the claims of a right token, and the token."""
    token = own.client().signed_in()["id_token"]
    return own.services, own.claims(token), token


def test_own_token_is_believed_expired_or_not(own: Provider, forging: tuple[Services, dict[str, Any], str]) -> None:
    services, claims, token = forging
    own.clock.move(timedelta(days=30))
    with own.app.app_context():
        assert services.keys.verified_id_token(token, ISSUER) == claims


def test_token_that_somebody_else_made_is_not_believed(
    own: Provider, forging: tuple[Services, dict[str, Any], str]
) -> None:
    services, claims, token = forging
    header, payload, signature = token.split(".")
    kid = json.loads(urlsafe_b64decode(header + "=="))["kid"]
    theirs = RSAKey.generate_key(2048)
    public = next(key for key in _published(own) if key["kid"] == kid)
    as_secret = OctKey.import_key(json.dumps(public))
    forged = [
        jwt.encode({"alg": "RS256", "kid": kid}, claims, theirs),
        jwt.encode({"alg": "HS256", "kid": kid}, claims, as_secret, algorithms=["HS256"]),
        jwt.encode({"alg": "RS256", "jwk": theirs.as_dict(private=False)}, claims, theirs),
        _unsigned({"alg": "none"}, payload),
        _unsigned({"alg": "none", "kid": kid, "typ": "JWT"}, payload),
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        f"{header}.{_json({**claims, 'sub': 'x'})}.{signature}",
        f"{header}.{payload}.{signature}.{signature}",
    ]
    with own.app.app_context():
        assert [services.keys.verified_id_token(each, ISSUER) for each in forged] == [None] * len(forged)


def _json(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unsigned(header: dict[str, Any], payload: str) -> str:
    return f"{_json(header)}.{payload}."


@pytest.mark.parametrize(
    "header",
    [
        [],
        "text",
        None,
        1,
        {},
        {"alg": 1},
        {"alg": None},
        {"alg": ["RS256"]},
        {"alg": {"a": "b"}},
        {"alg": "RS256", "kid": 1},
        {"alg": "RS256", "kid": None},
        {"alg": "RS256", "kid": ["x"]},
        {"alg": "RS256", "kid": {"x": "y"}},
        {"alg": "RS256", "kid": "unknown"},
        {"alg": "RS256", "crit": ["exp"]},
        {"alg": "RS256", "crit": 1},
        {"alg": "RS256", "b64": False},
        {"alg": "RS256", "typ": 1},
        {"alg": "ES256", "jku": "https://evil.example/jwks"},
        {"alg": "RS256", "x5c": "x", "x5u": 1},
        {"alg": "dir", "enc": "A128GCM"},
        {"alg": "RS256", "pad": "x" * 600},
    ],
    ids=str,
)
def test_token_with_a_strange_header_is_not_believed(provider: Provider, header: Any) -> None:
    with provider.app.app_context():
        for payload, signature in (("e30", ""), ("e30", "AAAA"), ("", ""), ("W10", "x" * 300), ("!", "!")):
            token = f"{_json(header)}.{payload}.{signature}"
            assert provider.services.keys.verified_id_token(token, ISSUER) is None


@pytest.mark.parametrize(
    "token", ["", ".", "..", "...", "a.b", "a.b.c.d.e", "\u2603.\u2603.\u2603", "\x00", "\ud800", "e" * 999], ids=ascii
)
def test_what_is_no_token_at_all_is_not_believed(provider: Provider, token: str) -> None:
    with provider.app.app_context():
        assert provider.services.keys.verified_id_token(token, ISSUER) is None


def test_token_for_another_purpose_or_of_another_issuer_is_not_believed(provider: Provider) -> None:
    right = {"iss": ISSUER, "sub": "anna", "auth_time": 1}
    with provider.app.app_context():
        sign, verified = provider.services.keys.sign, provider.services.keys.verified_id_token
        assert verified(sign("RS256", right), ISSUER) == right
        assert verified(sign("RS256", right, typ="logout+jwt"), ISSUER) is None
        assert verified(sign("RS256", right, typ="at+jwt"), ISSUER) is None
        assert verified(sign("RS256", {**right, "iss": "https://other.example"}), ISSUER) is None
        assert verified(sign("RS256", {"iss": ISSUER, "sub": "anna"}), ISSUER) is None
        assert verified(sign("RS256", {**right, "sub": 1}), ISSUER) is None


def test_signature_verifies_with_the_published_key_alone(provider: Provider, party: RelyingParty) -> None:
    token = party.signed_in()["id_token"]
    assert jws.deserialize_compact(token, provider.key_set(), algorithms=["RS256"]).payload
