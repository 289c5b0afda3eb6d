"""A62, A63, A66, A67, A69-A71: forged, swapped, replayed, widened and cut tokens."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from sqlalchemy import select, update

from idp.accounts.models import Account
from idp.audit.events import RefreshTokenReused
from idp.oidc.clients import Client
from idp.oidc.keys import Keys
from idp.oidc.models import AccessToken, RefreshFamily, SigningKey
from idp.oidc.refresh_token import Refreshed, RefreshTokens, _grant
from idp.web import csrf
from tests import canary
from tests.attacks.parallel import Node, often, run
from tests.attacks.world import BINDING_COOKIE, SESSION_COOKIE, Answered, Browser, World, mutation
from tests.conftest import ISSUER, is_long
from tests.factories import SomeClient

# A62


def b64(data: bytes | str | Mapping[str, Any]) -> str:
    """Base64url without padding; a mapping as JSON."""
    if isinstance(data, Mapping):
        data = json.dumps(data)
    return urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


OPENING = '{"a":'


class Forger:
    """Makes ID tokens that are almost right, with everything that is public, and some with our own keys."""

    def __init__(self, world: World, right: str) -> None:
        self.world, self.right = world, right
        self.header, self.payload, self.signature = right.split(".")
        self.claims: dict[str, Any] = json.loads(urlsafe_b64decode(self.payload + "=="))
        self.kid: str = json.loads(urlsafe_b64decode(self.header + "=="))["kid"]
        with world.app.app_context():
            keys = world.services.keys
            keys.load()
            with world.services.units.reading() as unit:
                rows = {row.alg: row for row in unit.scalars(select(SigningKey))}
            self.private = {alg: keys._private(row) for alg, row in rows.items()}
            self.kids = {alg: row.kid for alg, row in rows.items()}
            self.published = json.dumps(dict(keys.published()))
        self.own = RSAKey.generate_key(2048)
        self.own_ec = ECKey.generate_key("P-256")

    def hmac(self, alg: str, secret: bytes, **header: Any) -> str:
        """Signed with a secret that everybody knows."""
        signed = f"{b64({'alg': alg, 'typ': 'JWT', 'kid': self.kid, **header})}.{self.payload}"
        digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[alg]
        return f"{signed}.{b64(hmac.digest(secret, signed.encode(), digest))}"

    def signed(self, key: RSAKey | ECKey | OKPKey, alg: str = "RS256", payload: Any = None, **header: Any) -> str:
        """Signed with this key, whatever the header says."""
        wanted = {"alg": alg, "typ": "JWT", "kid": self.kid, **header}
        encoded = b64({name: value for name, value in wanted.items() if value is not None})
        body = self.payload if payload is None else b64(payload) if isinstance(payload, dict) else payload
        algorithm = jws.JWSRegistry.algorithms[alg]
        return f"{encoded}.{body}.{b64(algorithm.sign(f'{encoded}.{body}'.encode(), key))}"

    def unsigned(self, alg: Any, signature: str = "", **header: Any) -> str:
        return f"{b64({'alg': alg, 'typ': 'JWT', 'kid': self.kid, **header})}.{self.payload}.{signature}"

    def vectors(self) -> dict[str, str]:
        """Every forgery, by name."""
        ours = self.private["RS256"]
        public = ours.raw_value.public_key() if hasattr(ours.raw_value, "public_key") else ours.raw_value
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pkcs1 = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
        jwk = ours.as_dict(private=False)
        attacker = self.own.as_dict(private=False)
        es = self.signed(self.private["ES256"], "ES256", kid=self.kids["ES256"])
        head, body, tail = es.split(".")
        last = self.claims
        nothing: tuple[Any, ...] = ("none", "None", "NONE", "nOnE", "", None, 0, [], {})
        made = {f"alg {alg!r}": self.unsigned(alg) for alg in nothing}
        made |= {f"alg {alg}, our signature": self.unsigned(alg, self.signature) for alg in ("none", "RS512", "PS256")}
        for name, secret in {
            "pem": pem,
            "pem without its last line end": pem.rstrip(b"\n"),
            "pem in one line": pem.replace(b"\n", b""),
            "pkcs1": pkcs1,
            "der": der,
            "jwk": json.dumps(jwk).encode(),
            "jwks": self.published.encode(),
            "modulus": jwk["n"].encode(),  # type: ignore[union-attr]
            "kid": self.kid.encode(),
            "nothing": b"",
            "prefixed pem": b"ssh-rsa " + pem,
        }.items():
            for alg in ("HS256", "HS384", "HS512") if name == "pem" else ("HS256",):
                made[f"{alg} with the public key as {name}"] = self.hmac(alg, secret)
        made["HS256 without a kid"] = self.hmac("HS256", pem, kid=None)
        foreign: dict[str, dict[str, Any]] = {
            "embedded jwk": {"jwk": attacker},
            "embedded jwk without kid": {"jwk": attacker, "kid": None},
            "embedded jwk with its own kid": {"jwk": attacker, "kid": self.own.thumbprint()},
            "jku": {"jku": "https://evil.example/jwks"},
            "x5u": {"x5u": "https://evil.example/cert"},
            "x5c": {"x5c": ["MIIB"]},
            "our kid": {},
            "no kid": {"kid": None},
            "unknown kid": {"kid": "unknown"},
            "empty kid": {"kid": ""},
            "kid that is a path": {"kid": "../../../../dev/null"},
            "kid that is sql": {"kid": "' OR '1'='1"},
            "kid with a null byte": {"kid": "\x00"},
            "kid that is a number": {"kid": 0},
            "kid that is a list": {"kid": [self.kid]},
            "kid that is an object": {"kid": {"$ne": ""}},
            "kid of the other algorithm": {"kid": self.kids["ES256"]},
        }
        for name, header in foreign.items():
            made[f"somebody else's key, {name}"] = self.signed(self.own, **header)
        made["somebody else's curve key"] = self.signed(self.own_ec, "ES256", kid=self.kids["ES256"])
        odd: dict[str, dict[str, Any]] = {
            "crit": {"crit": ["exp"], "exp": 1},
            "crit unknown": {"crit": ["x-unknown"], "x-unknown": 1},
            "crit empty": {"crit": []},
            "crit b64": {"crit": ["b64"], "b64": False},
            "crit no list": {"crit": "alg"},
            "typ of a logout token": {"typ": "logout+jwt"},
            "typ of an access token": {"typ": "at+jwt"},
            "typ left out": {"typ": None},
            "typ that is a number": {"typ": 1},
            "unknown kid": {"kid": "unknown"},
            "no kid": {"kid": None},
            "jwk of our own": {"jwk": dict(jwk)},
        }
        for name, header in odd.items():
            made[f"our key, {name}"] = self.signed(ours, **header)
        made["our key under the kid of the other"] = self.signed(ours, kid=self.kids["ES256"])
        for name, claims in {
            "another issuer": {**last, "iss": "https://evil.example"},
            "the issuer with a slash": {**last, "iss": ISSUER + "/"},
            "no issuer": {key: value for key, value in last.items() if key != "iss"},
            "issuer in a list": {**last, "iss": [ISSUER]},
            "no subject": {key: value for key, value in last.items() if key != "sub"},
            "subject that is a number": {**last, "sub": 1},
            "no auth_time": {key: value for key, value in last.items() if key != "auth_time"},
            "a logout token": {"iss": ISSUER, "sub": last["sub"], "sid": last["sid"], "events": {}},
        }.items():
            made[f"our key, {name}"] = self.signed(ours, payload=claims)
        for name, payload in {"array": "[]", "string": '"x"', "number": "1", "null": "null", "no json": "{"}.items():
            made[f"our key, payload {name}"] = self.signed(ours, payload=b64(payload))
        made["our key, payload nested deeply"] = self.signed(ours, payload=b64("[" * 3000))
        made |= {
            "changed payload": f"{self.header}.{b64({**last, 'sub': 'x'})}.{self.signature}",
            "cut signature": self.right[:-4],
            "no signature": f"{self.header}.{self.payload}.",
            "two parts": f"{self.header}.{self.payload}",
            "five parts": f"{self.right}.x.y",
            "empty parts": "..",
            "zero es256 signature": f"{head}.{body}.{b64(bytes(64))}",
            "short es256 signature": f"{head}.{body}.{tail[:40]}",
            "es256 signature swapped": f"{head}.{body}.{tail[43:]}{tail[:43]}",
            "es256 header, rs256 signature": f"{head}.{body}.{self.signature}",
            "json": json.dumps({"payload": self.payload, "protected": self.header, "signature": self.signature}),
            "header nested deeply": f"{b64('[' * 3000)}.{self.payload}.{self.signature}",
            "header objects nested deeply": f"{b64(OPENING * 1000)}.{self.payload}.{self.signature}",
            "header no json": f"{b64('x')}.{self.payload}.{self.signature}",
            "header a list": f"{b64('[]')}.{self.payload}.{self.signature}",
            "header not utf-8": f"{b64(bytes([255, 254]))}.{self.payload}.{self.signature}",
            "not base64": "a.b.c",
            "zip": self.signed(ours, zip="DEF", payload=b64(bytes(3000))),
            "an encrypted token": f"{b64({'alg': 'dir', 'enc': 'A128GCM'})}..{'A' * 16}.AAAA.{'A' * 22}",
            "huge number": self.signed(ours, payload=b64('{"iss":' + "9" * 5000 + "}")),
            "line end": self.right + "\n",
            "space": " " + self.right,
            "padding": self.right + "=",
            "non-ascii": self.right + "é",
            "null byte": self.right + "\x00",
        }
        return made


def test_a62_no_forged_id_token_is_taken_as_a_hint(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    browser, page = world.sign_in(client, anna)
    right = world.redeem(client, page.code).body["id_token"]
    vectors = Forger(world, right).vectors()
    assert len(vectors) >= 80
    taken = []
    for name, token in vectors.items():
        asked = browser.authorize(client, id_token_hint=token)
        left = browser.get("/end_session?" + urlencode({"id_token_hint": token}))
        # Signing out is asked about, and nobody is signed out by it.
        is_asked = left.status == 200 and 'id="logout-confirm"' in left.text
        if (asked.status, asked.answer.get("error"), is_asked) != (303, "invalid_request", True):
            taken.append((name, asked.status, asked.answer, left.status))
    assert taken == []
    assert browser.authorize(client, prompt="none", id_token_hint=right).code, "the right one is taken, and nobody left"
    assert browser.get("/end_session?" + urlencode({"id_token_hint": right})).status == 303
    assert browser.authorize(client, prompt="none").answer["error"] == "login_required"


@mutation
def test_a62_without_the_signature_a_forged_hint_would_sign_somebody_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, anna = world.make.client(), world.make.person()
    browser, page = world.sign_in(client, anna)
    forger = Forger(world, world.redeem(client, page.code).body["id_token"])
    monkeypatch.setattr(Keys, "verified_id_token", lambda *_: forger.claims)
    browser.get("/end_session?" + urlencode({"id_token_hint": forger.unsigned("none")}))
    assert browser.authorize(client, prompt="none").answer["error"] == "login_required"


# A63, A71


@dataclass
class Held:
    """Everything that somebody holds after a sign-in, by what it is."""

    client: SomeClient
    browser: Browser
    values: dict[str, str]


def everything(world: World) -> Held:
    client, anna = world.make.client(), world.make.person()
    browser, page = world.sign_in(client, anna)
    answered = world.redeem(client, page.code).body
    claims = Forger(world, answered["id_token"]).claims
    with world.app.test_request_context(headers={"Cookie": f"{BINDING_COOKIE}={browser.cookies[BINDING_COOKIE]}"}):
        token = csrf.token("end_session")
    assert client.secret is not None
    values = {
        "code": browser.authorize(client).code,
        "access token": answered["access_token"],
        "refresh token": answered["refresh_token"],
        "id token": answered["id_token"],
        "session cookie": browser.cookies[SESSION_COOKIE],
        "binding cookie": browser.cookies[BINDING_COOKIE],
        "csrf token": token,
        "client secret": client.secret,
        "sid": claims["sid"],
        "sub": claims["sub"],
        "at_hash": claims["at_hash"],
        "client_id": client.client_id,
        "refresh handle": answered["refresh_token"].partition(".")[0],
        "refresh mac": answered["refresh_token"].rpartition(".")[2],
    }
    return Held(client, browser, values)


def with_cookie(world: World, name: str, value: str) -> Browser:
    browser = world.browser()
    browser.cookies[name] = value
    return browser


def doors(world: World, held: Held) -> dict[str, Callable[[str], bool]]:
    """Each place where one of these is taken: whether it took the value. The last one ends the session."""
    client = held.client

    def code(value: str) -> bool:
        return world.redeem(client, value).status == 200

    def refresh(value: str) -> bool:
        return world.refresh(client, value).status == 200

    def hint(value: str) -> bool:
        return "error" not in world.browser().authorize(client, id_token_hint=value).answer

    def logout_hint(value: str) -> bool:
        browser = with_cookie(world, SESSION_COOKIE, held.values["session cookie"])
        lived = "code" in browser.authorize(client, prompt="none").answer
        browser.get("/end_session?" + urlencode({"id_token_hint": value}))
        return lived and not session(held.values["session cookie"])

    def session(value: str) -> bool:
        return "code" in with_cookie(world, SESSION_COOKIE, value).authorize(client, prompt="none").answer

    def secret(value: str) -> bool:
        answered = world.redeem(SomeClient(client.client_id, value, client.redirect_uri), "no such code")
        return answered.error != "invalid_client"

    return {
        "access token": lambda value: world.userinfo(value) == 200,
        "refresh token": refresh,
        "id token": hint,
        "session cookie": session,
        "client secret": secret,
        "code": code,
        "id token at logout": logout_hint,
    }


def test_a63_nothing_is_taken_where_something_else_belongs(world: World) -> None:
    held = everything(world)
    taken = {
        (kind, door)
        for door, opens in doors(world, held).items()
        for kind, value in held.values.items()
        if opens(value)
    }
    canary.is_no_secret(*(held.values[name] for name in ("sid", "sub", "client_id")))
    own = {(door, door) for door in doors(world, held) if door in held.values}
    assert taken == own | {("id token", "id token at logout")}


def test_a71_no_prefix_of_a_token_is_taken_and_nothing_longer_either(world: World) -> None:
    held = everything(world)
    for door, opens in doors(world, held).items():
        value = held.values["id token" if door.startswith("id token") else door]
        # Of an ID token, all of its signature and a sample of the rest.
        lengths = range(1, len(value)) if len(value) < 120 else (*range(1, 300, 60), *range(len(value) - 8, len(value)))
        changed = [value[:length] for length in lengths]
        changed += [value + "A", value + ".", "A" + value, value.swapcase(), value[1:], value + value, value[:-1] + "!"]
        for attempt in changed:
            assert not opens(attempt), (door, len(attempt))
        assert opens(value), door


@mutation
def test_a71_a_comparison_of_beginnings_would_take_a_prefix(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    held = everything(world)
    compare = Client.has_secret

    def beginning(client: Client, secret: str) -> bool:
        right = held.values["client secret"]
        return compare(client, right if right.startswith(secret[:10]) else secret)

    monkeypatch.setattr(Client, "has_secret", beginning)
    assert doors(world, held)["client secret"](held.values["client secret"][:20])


# A66, A67


@dataclass(frozen=True)
class Refreshes:
    """A family, refreshed so many times by all threads of all processes at once."""

    client: SomeClient
    refresh_token: str
    rounds: int
    threads: int


def refresh_at_once(node: Node, given: Refreshes) -> list[list[tuple[int, str | None]]]:
    """For each round the status and the successor that every thread got."""
    world, token, results = node.world, given.refresh_token, []

    def refresh() -> tuple[int, str | None]:
        answered = world.refresh(given.client, token)
        return answered.status, answered.body.get("refresh_token")

    for _ in range(given.rounds):
        answers = node.at_once([refresh] * given.threads)
        results.append(answers)
        token = answers[0][1] or token
    return results


def public_client(world: World) -> SomeClient:
    return world.make.client("open", application_type="browser", token_endpoint_auth_method="none")


def test_a66_parallel_refreshes_of_a_public_client_never_fork_the_family(world: World, database_url: str) -> None:
    client = public_client(world)
    browser, page = world.sign_in(client, world.make.person())
    first = world.redeem(client, page.code).body["refresh_token"]
    rounds = 1000 if is_long() else 3
    given = Refreshes(client, first, rounds, often(50, 9) // 3)
    results = run(refresh_at_once, [given] * 3, database_url, world.clock.now(), seconds=600)
    leaves = [first]
    for number in range(rounds):
        answers = [answer for process in results for answer in process[number]]
        assert {status for status, _ in answers} == {200}
        (successor,) = {successor for _, successor in answers}
        assert successor is not None and successor not in leaves, "all get the same one, and it is new"
        leaves.append(successor)
    with world.reading() as unit:
        assert unit.scalars(select(RefreshFamily.generation)).all() == [rounds], "one family, one live leaf"
    world.clock.move(timedelta(seconds=31))
    assert world.refresh(client, leaves[-2]).error == "invalid_grant"
    assert world.refresh(client, leaves[-1]).error == "invalid_grant", "the family is over"
    assert browser.authorize(client, prompt="none").code, "the session is not"
    assert len(world.events(RefreshTokenReused)) == 1


def family(world: World) -> tuple[SomeClient, Browser, dict[str, Any]]:
    client = public_client(world)
    browser, page = world.sign_in(client, world.make.person())
    return client, browser, world.redeem(client, page.code).body


def test_a66_the_predecessor_yields_the_same_successor_for_thirty_seconds_and_then_ends_the_family(
    world: World,
) -> None:
    client, browser, tokens = family(world)
    first = tokens["refresh_token"]
    second = world.refresh(client, first).body["refresh_token"]
    for _ in range(3):
        world.clock.move(timedelta(seconds=9))
        assert world.refresh(client, first).body["refresh_token"] == second
    world.clock.move(timedelta(seconds=3))
    late = world.refresh(client, first)
    assert (late.status, late.error) == (400, "invalid_grant")
    assert world.refresh(client, second).error == "invalid_grant"
    with world.reading() as unit:
        assert unit.scalars(select(AccessToken).where(AccessToken.revoked_at.is_(None))).all() == []
    assert browser.authorize(client, prompt="none").code
    assert len(world.events(RefreshTokenReused)) == 1


def test_a66_a_predecessor_whose_successor_was_used_ends_the_family_also_within_the_grace(world: World) -> None:
    client, _, tokens = family(world)
    first = tokens["refresh_token"]
    second = world.refresh(client, first).body["refresh_token"]
    third = world.refresh(client, second).body["refresh_token"]
    assert world.refresh(client, first).error == "invalid_grant"
    for dead in (first, second, third):
        assert world.refresh(client, dead).error == "invalid_grant"
    assert len(world.events(RefreshTokenReused)) == 1


def test_a66_a_token_that_was_never_issued_is_refused_and_ends_nothing(world: World) -> None:
    client, _, tokens = family(world)
    other = world.make.client("ander", application_type="browser", token_endpoint_auth_method="none")
    token = tokens["refresh_token"]
    handle, generation, mac = token.split(".")
    for forged in (f"{handle}.1.{mac}", f"{handle}.00.{mac}", f"{handle}.{generation}.", f"{handle}.-1.{mac}"):
        assert world.refresh(client, forged).error == "invalid_grant"
    assert world.refresh(other, token).error == "invalid_grant", "another client's"
    assert not world.events(RefreshTokenReused)
    assert world.refresh(client, token).status == 200


def test_a67_a_replay_in_the_very_same_instant_is_seen_by_its_generation(world: World) -> None:
    client, _, tokens = family(world)
    chain = [tokens["refresh_token"]]
    for _ in range(3):
        chain.append(world.refresh(client, chain[-1]).body["refresh_token"])
    assert len(set(chain)) == len(chain), "the clock stands still and every leaf is another"
    assert world.refresh(client, chain[0]).error == "invalid_grant"
    assert world.refresh(client, chain[-1]).error == "invalid_grant"
    assert len(world.events(RefreshTokenReused)) == 1


@mutation
def test_a66_without_the_reuse_check_a_stolen_old_token_would_yield_the_live_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lenient(tokens: RefreshTokens, _unit: Any, found: RefreshFamily, handle: str, *_: Any) -> Refreshed:
        return Refreshed(_grant(found), tokens._token(handle, found.generation), found.expires_at)

    monkeypatch.setattr(RefreshTokens, "_used_before", lenient)
    client, _, tokens = family(world)
    stolen = tokens["refresh_token"]
    live = world.refresh(client, world.refresh(client, stolen).body["refresh_token"]).body["refresh_token"]
    world.clock.move(timedelta(seconds=60))
    assert world.refresh(client, stolen).body["refresh_token"] == live


# A69


@pytest.mark.parametrize("how", ["by an administrator", "behind the provider's back"])
def test_a69_a_blocked_account_gets_nothing_more_from_anything_it_holds(world: World, how: str) -> None:
    client, anna = world.make.client(), world.make.person()
    public = public_client(world)
    browser, page = world.sign_in(client, anna)
    tokens = world.redeem(client, page.code).body
    code, rotating = browser.authorize(client).code, world.redeem(public, browser.begin(public).code).body
    half = world.browser()
    form = half.begin(client)
    if how == "by an administrator":
        with world.app.app_context():
            world.services.accounts.block("10234", "anna")
    else:
        with world.writing() as unit:
            unit.execute(update(Account).values(blocked_at=world.clock.now()))
    assert world.userinfo(tokens["access_token"]) == world.userinfo(rotating["access_token"]) == 401
    assert world.refresh(client, tokens["refresh_token"]).error == "invalid_grant"
    assert world.refresh(public, rotating["refresh_token"]).error == "invalid_grant"
    assert world.redeem(client, code).error == "invalid_grant"
    assert browser.authorize(client, prompt="none").answer["error"] == "login_required"
    assert browser.begin(client).prompt == "identify"
    assert half.submit(form, **anna.names).status == 403 and half.session is None


def test_a69_what_changed_since_the_sign_in_counts_at_every_refresh(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    tokens = world.tokens(client, anna)

    def refreshed(**values: Any) -> Answered:
        with world.writing() as unit:
            unit.execute(update(Client).values(**values))
        return world.refresh(client, tokens["refresh_token"])

    assert refreshed(minimum_acr=3).error == "invalid_grant", "the level the client demands now"
    assert refreshed(minimum_acr=None, grant_types=["authorization_code"]).error == "unauthorized_client"
    assert refreshed(grant_types=["authorization_code", "refresh_token"]).status == 200
    with world.app.app_context():
        world.services.accounts.set_password("10234", "anna", "een heel nieuw lang geheim 2")
    assert world.refresh(client, tokens["refresh_token"]).error == "invalid_grant", "a new password ends the session"


# A70


def test_a70_a_refresh_never_widens_the_scope(world: World) -> None:
    client, anna = world.make.client(scope="openid profile email"), world.make.person()
    browser = world.browser()
    page = browser.submit(browser.begin(client, scope="openid email"), **anna.names)
    tokens = world.redeem(client, page.code).body
    assert set(tokens["scope"].split()) == {"openid", "email"}
    for scope in (
        "openid email profile",
        "profile",
        "offline_access",
        "openid  admin",
        "*",
        "openid,profile",
        "OPENID",
    ):
        wider = world.refresh(client, tokens["refresh_token"], scope=scope)
        assert (wider.status, wider.error) == (400, "invalid_scope"), scope
    narrow = world.refresh(client, tokens["refresh_token"], scope="openid")
    assert narrow.body["scope"] == "openid"
    claims = world.browser().get("/userinfo", Authorization=f"Bearer {narrow.body['access_token']}").text
    assert "email" not in claims and anna.sub in claims
    again = world.refresh(client, narrow.body["refresh_token"])
    assert set(again.body["scope"].split()) == {"openid", "email"}, "narrowing one token does not narrow the grant"


def test_a70_a_refused_scope_does_not_use_up_a_rotating_token(world: World) -> None:
    client, _, tokens = family(world)
    assert world.refresh(client, tokens["refresh_token"], scope="openid admin").error == "invalid_scope"
    assert world.refresh(client, tokens["refresh_token"]).status == 200
    assert not world.events(RefreshTokenReused)


def test_a70_a_code_asks_for_no_more_than_its_client_is_registered_for(world: World) -> None:
    client, anna = world.make.client(scope="openid"), world.make.person()
    browser = world.browser()
    page = browser.submit(browser.begin(client, scope="openid profile email admin"), **anna.names)
    tokens = world.redeem(client, page.code, scope="openid profile email").body
    assert tokens["scope"] == "openid"
