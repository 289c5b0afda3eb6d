"""A58-A60: who a client is. Identifiers that look like others, several ways to prove it at once, and stored hashes."""

from base64 import b64encode

import pytest
from sqlalchemy import select

from idp.audit.events import TokenRequestRefused
from idp.kernel.errors import Refused
from idp.oidc.clients import Client
from idp.oidc.models import AccessToken
from tests.attacks.world import FORM, VERIFIER, World, basic
from tests.factories import SomeClient

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REDIRECT_URI = "https://app.example/callback"


def raw_basic(pair: str | bytes) -> str:
    """A Basic header over exactly these bytes."""
    return "Basic " + b64encode(pair.encode() if isinstance(pair, str) else pair).decode()


# A58


def test_a58_an_identifier_that_could_be_taken_for_another_cannot_be_registered(world: World) -> None:
    anna = world.make.person()
    world.make.client("atosi")
    confusing = (
        anna.sub,
        "atosi",
        "ATOSI",
        "Atosi",
        " atosi",
        "atosi ",
        "atosi\t",
        "atosi\x00",
        "at osi",
        "аtosi",
        "ａtosi",
        "atosi\u200b",
        "atosi%20",
        "atosi+",
        "atosi:x",
        "atosi&client_id=x",
        "atosi/",
        "x" * 201,
    )
    with world.app.app_context():
        for client_id in confusing:
            with pytest.raises(Refused):
                world.services.clients.add("Een applicatie", [REDIRECT_URI], client_id=client_id)
    assert world.count(Client) == 1


def test_a58_an_identifier_counts_only_exactly_as_it_is_registered(world: World) -> None:
    client = world.make.client("atosi")
    browser, page = world.sign_in(client, world.make.person(totp=True))
    assert client.secret is not None
    for other in ("ATOSI", "Atosi", " atosi", "atosi ", "atosi\x00", "atosi\n", "ａtosi", "atosi%20", "%61tosi"):
        shown = browser.authorize(client, client_id=other)
        assert shown.status == 400 and shown.location is None, ascii(other)
        answers = [
            world.redeem(client, page.code, client_id=other),
            world.token(
                None,
                raw_basic(f"{other}:{client.secret}") if other != "%61tosi" else basic(other, client.secret),
                grant_type="authorization_code",
                code=page.code,
                redirect_uri=client.redirect_uri,
                code_verifier=VERIFIER,
            ),
            world.redeem(SomeClient(other, None, REDIRECT_URI), page.code, client_secret=client.secret),
        ]
        for answered in answers:
            assert answered.status in (400, 401), ascii(other)
            assert answered.error in ("invalid_client", "invalid_request"), ascii(other)
    assert world.count(AccessToken) == 0
    assert world.redeem(client, page.code, client_id="atosi").status == 200


def test_a58_one_client_in_the_header_and_another_in_the_body_is_neither(world: World) -> None:
    mine, other = world.make.client("mijn"), world.make.client("ander")
    _, page = world.sign_in(other, world.make.person(totp=True))
    for code_of in (mine, other):
        answered = world.redeem(mine, page.code, client_id=other.client_id, redirect_uri=code_of.redirect_uri)
        assert (answered.status, answered.error) == (401, "invalid_client")
    shown = world.browser().get("/authorize?client_id=mijn&client_id=ander&redirect_uri=https://app.example/callback")
    assert shown.status == 400 and shown.location is None
    assert world.redeem(other, page.code).status == 200


# A59


def test_a59_a_client_proves_itself_in_one_way_and_in_its_own(world: World) -> None:
    makes = {
        "client_secret_basic": world.make.client("basic"),
        "client_secret_post": world.make.client("post", token_endpoint_auth_method="client_secret_post"),
        "none": world.make.client("open", token_endpoint_auth_method="none"),
    }
    anna = world.make.person()
    browser, _ = world.sign_in(next(iter(makes.values())), anna)
    accepted = set()
    for registered, client in makes.items():
        secret = client.secret or "secret"
        header = basic(client.client_id, secret)
        in_body = {"client_id": client.client_id, "client_secret": secret}
        assertion = {"client_assertion": "x.y.z", "client_assertion_type": ASSERTION_TYPE}
        ways: dict[str, tuple[str | None, dict[str, str]]] = {
            "client_secret_basic": (header, {}),
            "client_secret_post": (None, in_body),
            "none": (None, {"client_id": client.client_id}),
            "basic and post": (header, in_body),
            "basic and assertion": (header, assertion),
            "post and assertion": (None, {**in_body, **assertion}),
            "public and assertion": (None, {"client_id": client.client_id, **assertion}),
            "wrong secret": (basic(client.client_id, secret + "x"), {}),
            "empty secret": (basic(client.client_id, ""), {}),
            "empty secret in the body": (None, {"client_id": client.client_id, "client_secret": ""}),
            "bearer": (f"Bearer {secret}", {}),
            "digest": (header.replace("Basic", "Digest"), {}),
            "no scheme": (header.partition(" ")[2], {}),
            "no colon": (raw_basic(client.client_id + secret), {}),
            "not base64": ("Basic %%%", {}),
            "not utf-8": (raw_basic(b"\xff\xfe:\xff"), {}),
            "two headers in one": (f"{header}, {header}", {}),
            "nothing": (None, {}),
        }
        for way, (authorization, form) in ways.items():
            code = browser.authorize(client).code
            answered = world.token(
                None,
                authorization,
                grant_type="authorization_code",
                code=code,
                redirect_uri=client.redirect_uri,
                code_verifier=VERIFIER,
                **form,
            )
            if answered.status == 200:
                accepted.add((registered, way))
            else:
                assert answered.error in ("invalid_client", "invalid_request"), (registered, way, answered)
                assert answered.status == (401 if answered.error == "invalid_client" else 400), (registered, way)
    # An empty secret counts as none sent (RFC 6749 3.2), and a public client has none to send.
    own = {(method, method) for method in makes}
    assert accepted - {("none", "empty secret in the body")} == own


def test_a59_secrets_in_the_query_or_in_another_form_are_not_looked_at(world: World) -> None:
    client = world.make.client("post", token_endpoint_auth_method="client_secret_post")
    _, page = world.sign_in(client, world.make.person(totp=True))
    assert client.secret is not None
    form = {
        "grant_type": "authorization_code",
        "code": page.code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": VERIFIER,
    }
    browser = world.browser()
    query = f"/token?client_id=post&client_secret={client.secret}"
    assert browser.post(query, form).status in (400, 401)
    assert browser.get(query).status == 405
    whole = {**form, "client_id": "post", "client_secret": client.secret}
    body = "&".join(f"{name}={value}" for name, value in whole.items()).encode()
    for content_type in ("application/json", "multipart/form-data; boundary=x", "text/plain", ""):
        assert browser.send("POST", "/token", headers={"Content-Type": content_type}, body=body).status in (400, 401)
    for repeated in (b"&client_secret=x", b"&client_id=post", b"&code=x", b"&grant_type=authorization_code"):
        assert browser.send("POST", "/token", headers={"Content-Type": FORM}, body=body + repeated).status == 400
    assert world.count(AccessToken) == 0
    posting = SomeClient("post", None, client.redirect_uri)
    assert world.redeem(posting, page.code, client_secret=client.secret).status == 200


def test_a59_secrets_with_characters_of_their_own_are_decoded_in_one_way(world: World) -> None:
    with world.app.app_context():
        secret = "a+b %c&d=e:f/0123456789012345678901".replace(" ", "_")
        client, _ = world.services.clients.add(
            "Basic", [REDIRECT_URI], client_id="b", client_secret=secret, first_party=True
        )
    made = SomeClient(client.client_id, secret, REDIRECT_URI)
    browser, _ = world.sign_in(made, world.make.person(totp=True))
    form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
    encoded = basic("b", secret)
    plain = raw_basic(f"b:{secret}")
    right = world.token(None, encoded, code=browser.authorize(made).code, **form)
    assert right.status == 200
    assert world.token(None, plain, code=browser.authorize(made).code, **form).error == "invalid_client"


# A60


def test_a60_what_the_database_keeps_of_a_secret_is_no_secret(world: World) -> None:
    client = world.make.client()
    browser, _ = world.sign_in(client, world.make.person(totp=True))
    with world.reading() as unit:
        stored = unit.scalars(select(Client.client_secret_hash)).one()
    assert stored is not None
    presented = (
        stored.hex(),
        stored.hex().upper(),
        b64encode(stored).decode(),
        b64encode(stored).rstrip(b"=").decode().replace("+", "-").replace("/", "_"),
        stored.decode("latin-1"),
        repr(stored),
        f"sha256${stored.hex()}",
    )
    for secret in presented:
        answered = world.redeem(SomeClient("atosi", secret, client.redirect_uri), browser.authorize(client).code)
        assert answered.error == "invalid_client"
    raw = world.token(None, raw_basic(b"atosi:" + stored), grant_type="authorization_code", code="x")
    assert raw.error == "invalid_client"
    assert len(world.events(TokenRequestRefused)) == len(presented) + 1
