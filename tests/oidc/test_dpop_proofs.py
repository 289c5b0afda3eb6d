"""What a DPoP proof must be (RFC 9449 4.3; demands 76 and 77): every member, every way to be wrong; A62."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.kernel.clock import FixedClock
from idp.kernel.secrets import DerivedKeys
from idp.oidc.clients import Client
from idp.oidc.dpop import ALGORITHMS, InvalidDpopProof, Proofs, UseDpopNonce
from tests.conftest import START
from tests.proofs import ProofKey, ath, b64, number, signed_by_hmac

ISSUER = "https://idp.example/tenant"
ADDRESS = f"{ISSUER}/token"
CLIENT = Client(client_id="c", profile="oidc", dpop_bound_access_tokens=False)
FAPI = Client(client_id="f", profile="fapi2", dpop_bound_access_tokens=True)
KEYS = {alg: ProofKey(alg) for alg in ALGORITHMS}
KEY = KEYS["ES256"]
SECRET = "a secret of more than thirty-two characters"
TOKEN = "an-access-token"


def proofs(at: datetime = START, issuer: str = ISSUER, demands_nonce: bool = False) -> Proofs:
    return Proofs(FixedClock(at), DerivedKeys(SECRET), issuer, demands_nonce)


def refusal(presented: str, client: Client = CLIENT, verifying: Proofs | None = None, **more: Any) -> str:
    with pytest.raises(InvalidDpopProof) as refused:
        (verifying or proofs()).verified(presented, client, "POST", "/token", **more)
    assert refused.value.error == "invalid_dpop_proof"
    return str(refused.value.description)


def signed(key: ProofKey = KEY, header: Any = None, **claims: Any) -> str:
    return key.signed(key.header(**(header or {})), key.claims("POST", ADDRESS, START, **claims))


# Right ones


def test_example_of_the_specification_is_right() -> None:
    # RFC 9449 4.1, figure 2; its key has the thumbprint of 6.1, figure 8.
    example = (
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscE"
        "JoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
        ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia"
        "WF0IjoxNTYyMjYyNjE2fQ"
        ".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
    )
    verifying = proofs(datetime.fromtimestamp(1562262616, UTC), "https://server.example.com")
    proof = verifying.verified(example, CLIENT, "POST", "/token")
    assert (proof.jkt, proof.jti) == ("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "-BwC3ESc6acc2lTc")


def test_example_for_a_resource_is_right_with_its_access_token_only() -> None:
    # RFC 9449 7.1, figure 12.
    example = (
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscE"
        "JoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
        ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z"
        "WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9"
        ".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
    )
    verifying = proofs(datetime.fromtimestamp(1562262618, UTC), "https://resource.example.org")
    token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
    assert verifying.verified(example, CLIENT, "GET", "/protectedresource", token).jti == "e1j3V_bKic8-LAEB"
    with pytest.raises(InvalidDpopProof):
        verifying.verified(example, CLIENT, "GET", "/protectedresource", token[:-1])


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_each_algorithm_is_taken_and_the_thumbprint_is_that_of_the_key(alg: str) -> None:
    # The headers with RSA keys are longer than 512 bytes, the most that joserfc takes by itself.
    proof = proofs().verified(signed(KEYS[alg]), CLIENT, "POST", "/token")
    assert proof.jkt == KEYS[alg].jkt


def test_rsa_key_of_4096_bits_fits() -> None:
    key = ProofKey("PS256", 4096)
    assert proofs().verified(signed(key), CLIENT, "POST", "/token").jkt == key.jkt


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_clients_of_fapi2_use_its_algorithms_only(alg: str) -> None:
    # FAPI 2.0 Security Profile 5.4.1.
    if alg == "RS256":
        assert "alg" in refusal(signed(KEYS[alg]), FAPI)
    else:
        assert proofs().verified(signed(KEYS[alg]), FAPI, "POST", "/token")


def test_members_that_mean_nothing_to_us_are_ignored() -> None:
    jwk = {**KEY.jwk, "kid": "mine", "use": "sig", "alg": "ES256", "key_ops": ["verify"], "ext": True}
    presented = signed(header={"jwk": jwk, "kid": "1", "x": {"y": 1}}, sub="me", nonce=5, ath=["x"])
    assert proofs().verified(presented, CLIENT, "POST", "/token").jkt == KEY.jkt


# The header


@pytest.mark.parametrize(
    "presented",
    [
        "",
        " ",
        "a",
        "a.b",
        "a.b.c",
        "..",
        "a.b.c.d",
        "e30.e30.e30",
        "\x00",
        "\u00e9.a.b",
        "a=.b.c",
        "a.b.c\n",
        "x" * 9000,
    ],
)
def test_what_is_no_signed_jwt_is_refused(presented: str) -> None:
    refusal(presented)


@pytest.mark.demand(76)
def test_two_proofs_in_one_header_are_refused() -> None:
    # What two header fields become on their way through a gateway (RFC 9110 5.3).
    assert "once" in refusal(f"{signed()}, {signed()}")
    assert "once" in refusal(f"{signed()},{signed()}")


def test_proof_longer_than_8_kib_is_refused() -> None:
    assert "once" in refusal(signed(more="x" * 9000))


@pytest.mark.parametrize("typ", [None, "JWT", "dpop", "DPoP+JWT", "application/dpop+jwt", 5, ["dpop+jwt"], {}])
def test_wrong_type_is_refused(typ: Any) -> None:
    assert "typ" in refusal(signed(header={"typ": typ}))


@pytest.mark.parametrize("alg", [None, "none", "HS256", "ES384", "RS512", "EdDSA", "es256", "", 5, ["ES256"], {}])
def test_wrong_algorithm_is_refused(alg: Any) -> None:
    refusal(signed(header={"alg": alg}))


@pytest.mark.parametrize(
    "wrong",
    [None, "key", 5, [], {}, {"kty": "oct", "k": "c2VjcmV0"}, {"kty": "EC"}, {"kty": ["EC"]}, {"kty": "EC", "crv": []}]
    + [{**KEY.jwk, "x": 5}, {**KEY.jwk, "x": ""}, {**KEY.jwk, "x": "AAAA", "y": "AAAA"}, {**KEY.jwk, "crv": "P-384"}]
    + [{**KEY.jwk, "use": "enc"}, {**KEY.jwk, "alg": "ES384"}, ProofKey().jwk, ProofKey("PS256").jwk],
)
def test_wrong_key_is_refused(wrong: Any) -> None:
    refusal(signed(header={"jwk": wrong}))


@pytest.mark.demand(76)
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_private_key_is_refused(alg: str) -> None:
    key = KEYS[alg]
    assert "private" in refusal(signed(key, header={"jwk": key.private_jwk}))
    for member in set(key.private_jwk) - set(key.jwk):
        assert "private" in refusal(signed(key, header={"jwk": {**key.jwk, member: ""}}))


@pytest.mark.parametrize("alg", ["RS256", "PS256"])
def test_weak_key_is_refused(alg: str) -> None:
    assert "weak" in refusal(signed(ProofKey(alg, 1024)))


def test_other_curves_are_refused() -> None:
    key = KEYS["EdDSA"]
    for crv in ("X25519", "Ed448", "P-256"):
        refusal(signed(key, header={"jwk": {**key.jwk, "crv": crv}}))


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["x"], "x": 1},
        {"crit": []},
        {"crit": "exp"},
        {"crit": ["b64"], "b64": False},
        {"crit": ["jwk"]},
    ],
)
def test_critical_members_that_are_not_understood_are_refused(extra: dict[str, Any]) -> None:
    # CVE-2025-59420.
    refusal(signed(header=extra))


# The signature


def test_signature_of_another_key_or_none_is_refused() -> None:
    header, claims = KEY.header(), KEY.claims("POST", ADDRESS, START)
    assert "signed" in refusal(ProofKey().signed(header, claims))
    message = KEY.signed(header, claims).rpartition(".")[0]
    for signature in (b"", b"\x00" * 64, KEY.signature(b"something else"), KEY.signature(message.encode())[:-1]):
        refusal(f"{message}.{b64(signature)}")


def test_changed_claims_are_refused() -> None:
    header, _, signature = signed().split(".")
    changed = b64(json.dumps(KEY.claims("POST", ADDRESS, START)).encode())
    assert "signed" in refusal(f"{header}.{changed}.{signature}")


def test_public_key_is_no_shared_secret() -> None:
    # CVE-2024-37568: whoever knows the public key would sign with it.
    key = KEYS["RS256"]
    for secret in (json.dumps(key.jwk).encode(), key.jwk["n"].encode(), b""):
        for jwk in (key.jwk, {"kty": "oct", "k": b64(secret)}):
            header = {"typ": "dpop+jwt", "alg": "HS256", "jwk": jwk}
            refusal(signed_by_hmac(secret, header, key.claims("POST", ADDRESS, START)))


@pytest.mark.parametrize("claims", [[], "x", 5, None, True])
def test_claims_that_are_no_object_are_refused(claims: Any) -> None:
    refusal(KEY.signed(KEY.header(), claims))


# The claims

WRONG: dict[str, list[Any]] = {
    "jti": [None, "", 5, True, ["x"], {}],
    "htm": [None, "", "GET", "post", "POST ", 5, ["POST"]],
    "htu": [None, "", 5, [ADDRESS], "token", "/tenant/token", "idp.example/tenant/token", "//idp.example/tenant/token"],
    "iat": [None, "", True, False, "1700000000", [], {}, float("nan"), float("inf"), -float("inf"), 10**400, -1, 0],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_claim_is_refused(name: str, value: Any) -> None:
    assert name in refusal(signed(**{name: value}))


@pytest.mark.demand(76)
@pytest.mark.parametrize(
    "htu",
    [
        "HTTPS://IDP.Example/tenant/token",
        "https://idp.example:443/tenant/token",
        "https://idp.example:/tenant/token",
        "https://idp.example/tenant/token?a=b",
        "https://idp.example/tenant/token#part",
        "https://idp.example/tenant/token?a=b#part",
        "https://idp.example/%74enant/toke%6e",
        "https://idp.example/x/../tenant/./token",
        "https://idp.example/tenant/%2E/token",
    ],
)
def test_other_spelling_of_the_address_is_the_same(htu: str) -> None:
    # RFC 3986 6.2.2 and 6.2.3.
    assert proofs().verified(signed(htu=htu), CLIENT, "POST", "/token")


@pytest.mark.parametrize(
    "htu",
    [
        "http://idp.example/tenant/token",
        "https://idp.example/tenant/Token",
        "https://idp.example/tenant/token/",
        "https://idp.example/tenant//token",
        "https://idp.example/tenant%2Ftoken",
        "https://idp.example/token",
        "https://idp.example/tenant/userinfo",
        "https://idp.example:444/tenant/token",
        "https://idp.example:0/tenant/token",
        "https://idp.example:99999/tenant/token",
        "https://idp.example:x/tenant/token",
        "https://idp.example./tenant/token",
        "https://evil.example/tenant/token",
        "https://idp.example@evil.example/tenant/token",
        "https://user@idp.example/tenant/token",
        "https://idp.example\\@evil.example/tenant/token",
        "https://[::1/tenant/token",
        "https:///tenant/token",
        " https://idp.example/tenant/token",
        "https://idp.example/tenant/tok\ten",
        "https://idp.example/tenant/token\n",
        "https://idp.example/tenant/tok\u00e9n",
        "https://\u0131dp.example/tenant/token",
        "https://idp.example/tenant/token/..",
        "ftp://idp.example/tenant/token",
    ],
)
def test_other_address_is_refused(htu: str) -> None:
    assert "htu" in refusal(signed(htu=htu))


@pytest.mark.parametrize("issuer", ["http://localhost:8000", "https://idp.example:8443", "https://[::1]:8000/a%20b"])
def test_address_is_that_of_the_configured_issuer(issuer: str) -> None:
    verifying = proofs(issuer=issuer)
    presented = KEY.proof("POST", f"{issuer}/token", START)
    assert verifying.verified(presented, CLIENT, "POST", "/token")
    assert "htu" in refusal(signed(), verifying=verifying)


@given(st.text() | st.from_regex(r"https?://[a-z.@:%/\\\[\]0-9#?]*"))
def test_any_text_as_address_is_compared_without_failing(htu: str) -> None:
    if htu.partition("?")[0].partition("#")[0] != ADDRESS:
        refusal(signed(htu=htu))


@pytest.mark.demand(76)
@pytest.mark.parametrize(("seconds", "is_right"), [(-3600, False), (-60, False), (-59, True), (-10, True), (0, True)])
def test_proof_is_good_for_a_minute(seconds: int, is_right: bool) -> None:
    _is_right_at(seconds, is_right)


@pytest.mark.demand(76)
@pytest.mark.parametrize(("seconds", "is_right"), [(8, True), (10, True), (11, False), (3600, False)])
def test_clock_of_the_client_may_be_ahead_by_ten_seconds(seconds: int, is_right: bool) -> None:
    _is_right_at(seconds, is_right)


def _is_right_at(seconds: int, is_right: bool) -> None:
    presented = KEY.proof("POST", ADDRESS, START + timedelta(seconds=seconds))
    if not is_right:
        assert "iat" in refusal(presented)
        return
    proof = proofs().verified(presented, CLIENT, "POST", "/token")
    # What is remembered of its use may be forgotten when it would be refused by its age.
    assert "iat" in refusal(presented, verifying=proofs(proof.expires_at))
    last = proofs(proof.expires_at - timedelta(microseconds=1))
    assert last.verified(presented, CLIENT, "POST", "/token") == proof


@pytest.mark.parametrize("demands_nonce", [False, True])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("exp", value) for value in (-1, 0, 1, START.timestamp(), START.timestamp() - 0.5, "never", True, [], None)),
        *(("exp", value) for value in (float("nan"), -float("inf"), -(10**400))),
        *(
            ("nbf", value)
            for value in (START.timestamp() + 11, 10**400, float("nan"), float("inf"), "soon", True, {}, None)
        ),
    ],
)
def test_proof_whose_own_times_are_not_now_is_refused(name: str, value: Any, demands_nonce: bool) -> None:
    # RFC 7519 4.1.4 and 4.1.5: nobody has to write them, but they count where they stand.
    verifying = proofs(demands_nonce=demands_nonce)
    claims = {**KEY.claims("POST", ADDRESS, START, nonce=verifying.nonce), name: value}
    assert name in refusal(KEY.signed(KEY.header(), claims), verifying=verifying)


def test_proof_whose_own_times_are_now_is_right() -> None:
    now = START.timestamp()
    for times in ({"exp": now + 1}, {"exp": 10**400}, {"nbf": now}, {"nbf": now + 10}, {"exp": now + 0.5, "nbf": 0}):
        assert proofs().verified(signed(**times), CLIENT, "POST", "/token")


def test_moment_may_have_decimals() -> None:
    assert proofs().verified(signed(iat=START.timestamp() - 0.5), CLIENT, "POST", "/token")


# The access token


@pytest.mark.demand(76)
@pytest.mark.parametrize("value", [None, "", 5, [], ath(TOKEN + "x"), TOKEN, ath(TOKEN) + "="])
def test_hash_of_the_access_token_is_needed_where_one_is_shown(value: Any) -> None:
    assert "ath" in refusal(signed(ath=value), access_token=TOKEN)


def test_right_hash_of_the_access_token_is_right() -> None:
    assert proofs().verified(signed(ath=ath(TOKEN)), CLIENT, "POST", "/token", TOKEN)


# Nonces


def nonce_of(verifying: Proofs) -> str:
    assert verifying.nonce is not None
    return verifying.nonce


def test_no_nonce_is_given_unless_it_is_demanded() -> None:
    assert proofs().nonce is None


@pytest.mark.parametrize("nonce", [None, "", "x", 5, [], "\u00e9", "\ud800"])
def test_missing_or_wrong_nonce_is_asked_for(nonce: Any) -> None:
    with pytest.raises(UseDpopNonce) as asked:
        proofs(demands_nonce=True).verified(signed(nonce=nonce), CLIENT, "POST", "/token")
    assert asked.value.error == "use_dpop_nonce"


def test_nonce_is_good_in_its_period_and_the_next_on_every_node() -> None:
    given = nonce_of(proofs(demands_nonce=True))
    for minutes, is_right in ((0, True), (5, True), (9, True), (10, False), (-5, False)):
        at = START + timedelta(minutes=minutes)
        presented = KEY.proof("POST", ADDRESS, at, nonce=given)
        verifying = proofs(at, demands_nonce=True)
        if is_right:
            assert verifying.verified(presented, CLIENT, "POST", "/token")
        else:
            with pytest.raises(UseDpopNonce):
                verifying.verified(presented, CLIENT, "POST", "/token")


def test_nonce_stands_in_for_the_clock_of_the_client() -> None:
    # RFC 9449 4.3, number 11: either says when the proof was made.
    verifying = proofs(demands_nonce=True)
    presented = KEY.proof("POST", ADDRESS, START + timedelta(hours=1), nonce=verifying.nonce)
    proof = verifying.verified(presented, CLIENT, "POST", "/token")
    with pytest.raises(UseDpopNonce):
        proofs(proof.expires_at, demands_nonce=True).verified(presented, CLIENT, "POST", "/token")
    last = proofs(proof.expires_at - timedelta(microseconds=1), demands_nonce=True)
    assert last.verified(presented, CLIENT, "POST", "/token")


def test_nonce_of_another_installation_is_not_ours() -> None:
    theirs = Proofs(FixedClock(START), DerivedKeys("x" * 40), ISSUER, True)
    with pytest.raises(UseDpopNonce):
        proofs(demands_nonce=True).verified(signed(nonce=theirs.nonce), CLIENT, "POST", "/token")


# Anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SOME: Callable[[list[str]], Any] = st.sampled_from


@given(SOME(["typ", "alg", "jwk", "crit", "kid", "x5c"]), JSON, SOME(["jti", "htm", "htu", "iat", "ath"]), JSON)
def test_any_json_in_any_member_is_taken_or_refused(in_header: str, header: Any, in_claims: str, claim: Any) -> None:
    presented = KEY.signed(
        {**KEY.header(), in_header: header}, {**KEY.claims("POST", ADDRESS, START), in_claims: claim}
    )
    try:
        proofs().verified(presented, CLIENT, "POST", "/token")
    except InvalidDpopProof as error:
        assert error.error == "invalid_dpop_proof"


def test_exponent_and_modulus_of_all_sizes_are_taken_or_refused() -> None:
    key = KEYS["PS256"]
    for exponent in (0, 1, 2, 4, 2**2040 + 1):
        refusal(signed(key, header={"jwk": {**key.jwk, "e": number(exponent, 256)}}))
    refusal(signed(key, header={"jwk": {**key.jwk, "n": "_" * 3000}}))
