"""Signatures from outside: one algorithm, one key, and nothing that a header says of either (A62, RFC 8725)."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from idp.oidc.signatures import (
    ASYMMETRIC,
    HMAC,
    MOST_KEYS,
    RSA_BITS,
    candidates,
    decoded_json,
    header_of,
    imported,
    verified_by,
)
from tests.client_assertions import AnyKey, jwks_of, key_of, signed

CLAIMS = {"sub": "atosi", "n": 1}
SECRET = OctKey.import_key("s" * 64)


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def public(key: AnyKey) -> dict[str, Any]:
    return dict(key.as_dict(private=False))


# What verifies


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_signature_by_the_key_is_verified(alg: str) -> None:
    (key,) = imported(jwks_of(key_of(alg)))
    found = verified_by(signed(CLAIMS, key_of(alg), alg), key, alg)
    assert found is not None and found.claims == CLAIMS and found.header["alg"] == alg


@pytest.mark.parametrize("alg", HMAC)
def test_hmac_by_the_secret_is_verified(alg: str) -> None:
    found = verified_by(signed(CLAIMS, SECRET, alg), SECRET, alg)
    assert found is not None and found.claims == CLAIMS


def test_header_may_carry_a_large_key() -> None:
    # As a DPoP proof does (RFC 9449 4.2): an RSA key alone has more than the 512 bytes that joserfc allows.
    large = {"kty": "RSA", "e": "AQAB", "n": b64(b"\xff" * 512)}
    assert len(b64(json.dumps(large).encode())) > 512
    (key,) = imported(jwks_of(key_of("RS256")))
    assert verified_by(signed(CLAIMS, key_of("RS256"), "RS256", jwk=large), key, "RS256") is not None


def test_header_of_more_than_four_kilobytes_is_refused() -> None:
    (key,) = imported(jwks_of(key_of("ES256")))
    assert verified_by(signed(CLAIMS, key_of("ES256"), x="x" * 2500), key, "ES256") is not None
    assert verified_by(signed(CLAIMS, key_of("ES256"), x="x" * 4000), key, "ES256") is None


def test_unknown_members_of_the_header_are_ignored() -> None:
    # RFC 7515 4.
    (key,) = imported(jwks_of(key_of("ES256")))
    assert verified_by(signed(CLAIMS, key_of("ES256"), foo="bar", client="x"), key, "ES256") is not None


# What does not


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["foo"], "foo": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": ["b64"], "b64": True},
        {"crit": []},
        {"crit": "alg"},
        {"crit": None},
        {"crit": [1]},
        {"crit": ["foo"]},
        {"crit": {"foo": 1}},
    ],
    ids=str,
)
def test_critical_header_that_is_not_understood_is_refused(header: dict[str, Any]) -> None:
    # CVE-2025-59420; RFC 7515 4.1.11.
    (key,) = imported(jwks_of(key_of("ES256")))
    said = {"alg": "ES256", **header}
    signing_input = f"{b64(json.dumps(said).encode())}.{b64(json.dumps(CLAIMS).encode())}"
    signature = jws.JWSRegistry.algorithms["ES256"].sign(signing_input.encode(), key_of("ES256"))
    assert verified_by(f"{signing_input}.{b64(signature)}", key, "ES256") is None


def test_payload_that_is_not_encoded_is_refused() -> None:
    # RFC 7797.
    (key,) = imported(jwks_of(key_of("ES256")))
    for header in ({"b64": False}, {"b64": False, "crit": ["b64"]}):
        head = b64(json.dumps({"alg": "ES256", **header}).encode())
        signing_input = f"{head}.{json.dumps(CLAIMS)}"
        signature = jws.JWSRegistry.algorithms["ES256"].sign(signing_input.encode(), key_of("ES256"))
        assert verified_by(f"{signing_input}.{b64(signature)}", key, "ES256") is None


def forgeries(key: AnyKey, alg: str) -> Mapping[str, str]:
    """JWTs by somebody who knows everything that is public."""
    attacker = RSAKey.generate_key(2048) if key.key_type == "RSA" else ECKey.generate_key("P-256")
    theirs = "RS256" if key.key_type == "RSA" else "ES256"
    raw = key.public_key  # type: ignore[union-attr]
    pem = raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = raw.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    right = signed(CLAIMS, key, alg)
    head, body, signature = right.split(".")
    other = b64(json.dumps({**CLAIMS, "sub": "another"}).encode())
    made = {
        "other claims": f"{head}.{other}.{signature}",
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
    }
    made["five parts"] = f"{right}.a.b"
    made["signature of nothing"] = f"{head}.{body}.{b64(bytes(64))}"
    for none in ("none", "None", "nOnE", "", None, [], {}, 0, ["ES256"]):
        said = b64(json.dumps({"alg": none, "typ": "JWT"}).encode())
        made[f"alg {none!r}"] = f"{said}.{body}."
        made[f"alg {none!r} and the signature"] = f"{said}.{body}.{signature}"
    published = {"pem": pem, "pem without line end": pem.rstrip(), "der": der, "jwk": json.dumps(public(key)).encode()}
    published["prefixed"] = b"ssh-rsa " + pem
    for name, secret in published.items():
        for hmac_alg in HMAC:
            octets = object.__new__(OctKey)
            octets.__init__(secret, secret)  # type: ignore[misc]
            made[f"{hmac_alg} with {name}"] = signed(CLAIMS, octets, hmac_alg)
    embedded = {
        "jwk": public(attacker),
        "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/x5u",
        "x5c": [b64(der)],
    }
    for name, value in embedded.items():
        made[f"own {name}"] = signed(CLAIMS, attacker, theirs, **{name: value})
    for kid in ("../../../../dev/null", "' OR 1=1 --", "/proc/self/environ", "|whoami", "\x00", "x" * 3000, "", None):
        made[f"kid {str(kid)[:20]!r}"] = signed(CLAIMS, attacker, theirs, kid=kid)
    made["json serialization"] = json.dumps({"protected": head, "payload": body, "signature": signature})
    made["compressed"] = signed(b"\x78\x9c" + bytes(1000), key, alg, zip="DEF")
    made["not json"] = signed(b"\xff\xfe", key, alg)
    made["deep"] = signed(b"[" * 50_000, key, alg)
    made["a list"] = signed(b"[]", key, alg)
    made["a huge number"] = signed(b'{"n": ' + b"9" * 5000 + b"}", key, alg)
    return made


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_forgery_is_refused(alg: str) -> None:
    own = key_of(alg)
    (key,) = imported(jwks_of(own))
    for name, token in forgeries(own, alg).items():
        header = header_of(token)
        for tried in (*ASYMMETRIC, *HMAC):
            fits = candidates([key], tried, header.get("kid")) if tried in ASYMMETRIC else [key]
            for one in fits:
                assert verified_by(token, one, tried) is None, (name, tried)


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_signature_over_other_bytes_is_refused(alg: str) -> None:
    (key,) = imported(jwks_of(key_of(alg)))
    right = signed(CLAIMS, key_of(alg), alg)
    for position in range(0, len(right), 7):
        changed = right[:position] + ("A" if right[position] != "A" else "B") + right[position + 1 :]
        found = verified_by(changed, key, alg)
        # Bits that the last character of a segment does not need are nobody's.
        assert found is None or found.claims == CLAIMS


@given(st.text(max_size=300) | st.lists(st.binary(max_size=80).map(b64), min_size=1, max_size=5).map(".".join))
def test_nonsense_is_refused_and_raises_nothing(token: str) -> None:
    keys = imported(jwks_of(*map(key_of, ("ES256", "RS256", "EdDSA"))))
    for segment in range(4):
        assert isinstance(decoded_json(token, segment), dict)
    for alg in ASYMMETRIC:
        for key in candidates(keys, alg, header_of(token).get("kid")):
            assert verified_by(token, key, alg) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c", "x5t", "zip", "cty", "p2c", "enc", "nonce"]
)


@given(st.dictionaries(NAMES, JSON, max_size=6))
def test_any_header_under_a_right_signature_raises_nothing(header: dict[str, Any]) -> None:
    (key,) = imported(jwks_of(key_of("ES256")))
    found = verified_by(_with(header), key, "ES256")
    assert found is None or found.claims == CLAIMS


def _with(header: dict[str, Any]) -> str:
    signing_input = f"{b64(json.dumps({'alg': 'ES256', **header}).encode())}.{b64(json.dumps(CLAIMS).encode())}"
    return f"{signing_input}.{b64(jws.JWSRegistry.algorithms['ES256'].sign(signing_input.encode(), key_of('ES256')))}"


# Keys


def str_of_kind(jwk: Any) -> str:
    """The same in every process, though the keys are not."""
    return "-".join(str(jwk.get(name)) for name in ("kty", "crv", "use")) if isinstance(jwk, dict) else repr(jwk)


def test_private_members_are_dropped() -> None:
    for alg in ("RS256", "ES256", "EdDSA"):
        (key,) = imported({"keys": [key_of(alg).as_dict(private=True)]})
        assert not key.is_private


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": b64(b"s" * 64)},
        {"kty": "oct"},
        {"kty": "RSA", "e": "AQAB", "n": b64(b"\xff" * 255)},
        {"kty": "RSA", "e": "AQAB", "n": b64(b"\xff" * 1025)},
        {"kty": "RSA", "e": b64(b"\xff" * 9), "n": b64(b"\xff" * 256)},
        {"kty": "RSA", "e": "AQ", "n": b64(b"\xff" * 256)},
        {"kty": "RSA", "e": "", "n": b64(b"\xff" * 256)},
        {"kty": "RSA", "n": b64(b"\xff" * 256)},
        {"kty": "RSA", "e": "AQAB", "n": 5},
        {"kty": "RSA", "e": "AQAB", "n": "\u00e9" * 400},
        {"kty": "RSA", "e": "AQAB", "n": b64(b"\xff" * 256), "use": "enc"},
        {"kty": "EC", "crv": "P-256", "x": b64(b"\x01" * 32), "y": b64(b"\x02" * 32)},
        {"kty": "EC", "crv": "P-256", "x": "", "y": ""},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "EC", "crv": ["P-256"]},
        public(ECKey.generate_key("P-384")),
        public(ECKey.generate_key("P-521")),
        public(ECKey.generate_key("secp256k1")),
        public(OKPKey.generate_key("Ed448")),
        public(OKPKey.generate_key("X25519")),
        {**public(key_of("ES256")), "use": "enc"},
        {**public(key_of("ES256")), "use": ["sig"]},
        {**public(key_of("ES256")), "crv": "P-384"},
        {**public(key_of("ES256")), "kty": "RSA"},
        {**public(key_of("ES256")), "kid": {"a": 1}},
        {**public(key_of("ES256")), "alg": 1},
        {"kty": ["EC"]},
        {"kty": {}},
        {"kty": None},
        {},
        "x",
        None,
        [],
    ],
    ids=str_of_kind,
)
def test_what_is_no_key_for_signatures_is_passed_over_and_its_neighbour_is_not(jwk: Any) -> None:
    # RFC 7517 5.
    good = public(key_of("EdDSA"))
    keys = imported({"keys": [jwk, good]})
    assert [dict(key.as_dict(private=False))["x"] for key in keys] == [good["x"]]


@pytest.mark.parametrize("jwk_set", [None, [], {}, "x", 1, {"keys": None}, {"keys": {}}, {"keys": "x"}])
def test_what_is_no_key_set_has_no_keys(jwk_set: Any) -> None:
    assert list(imported(jwk_set)) == []


def test_of_a_huge_set_only_the_first_keys_are_looked_at() -> None:
    good = public(key_of("EdDSA"))
    assert len(imported({"keys": [good] * 1000})) == MOST_KEYS


def test_rsa_key_of_the_least_size_counts() -> None:
    assert RSA_BITS.start == 2048
    assert len(imported(jwks_of(key_of("RS256")))) == 1


def test_algorithm_of_a_key_binds_it() -> None:
    for said, fits in (("RS256", "RS256"), ("PS256", "PS256")):
        keys = imported(jwks_of(key_of("RS256"), alg=said))
        assert [alg for alg in ASYMMETRIC if candidates(keys, alg, None)] == [fits]
    assert not any(candidates(imported(jwks_of(key_of("RS256"), alg="RSA-OAEP")), alg, None) for alg in ASYMMETRIC)


def test_key_is_chosen_by_its_name_or_tried_when_there_is_none() -> None:
    one, two, bare = (public(ECKey.generate_key("P-256")) for _ in range(3))
    keys = imported({"keys": [{**one, "kid": "1"}, {**two, "kid": "2"}, bare]})
    assert [key.get("kid") for key in candidates(keys, "ES256", "2")] == ["2"]
    assert [key.get("kid") for key in candidates(keys, "ES256", None)] == ["1", "2", None]
    assert [key.get("kid") for key in candidates(keys, "ES256", "3")] == [None]
    assert list(candidates(keys, "RS256", "2")) == []
    for kid in (1, [], {}, "", True):
        assert [key.get("kid") for key in candidates(keys, "ES256", kid)] == [None]
