"""A43, A54-A57: where answers go. Addresses that look right, errors that travel, other hosts, and who answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from socket import create_connection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from werkzeug.serving import make_server

from idp.audit.events import AuthorizationRefused
from idp.kernel.errors import Refused
from idp.oidc import requesting_client
from idp.oidc.clients import Client
from tests.attacks.world import Browser, Page, World, basic, mutation, parameters
from tests.conftest import ISSUER
from tests.factories import SomeClient

# A55

REGISTERED = "https://app.example/callback"
TRICKS = (
    "",
    " ",
    "/callback",
    "//app.example/callback",
    "//evil.example/callback",
    "app.example/callback",
    "https:app.example/callback",
    "https:/app.example/callback",
    "https:///app.example/callback",
    "https:\\\\app.example\\callback",
    "https://app.example\\callback",
    "https://app.example/callback/",
    "https://app.example/callback?",
    "https://app.example/callback#",
    "https://app.example/callback#fragment",
    "https://app.example/callback?next=https://evil.example",
    "https://app.example/callback&code=x",
    "https://app.example/callback;x=y",
    "https://app.example/callback/../evil",
    "https://app.example/callback/..%2fevil",
    "https://app.example/callback/%2e%2e/evil",
    "https://app.example/./callback",
    "https://app.example/evil/../callback",
    "https://app.example//callback",
    "https://app.example/callback%2f",
    "https://app.example/callback%00",
    "https://app.example/callback\x00",
    "https://app.example/callback%0d%0aSet-Cookie:%20a=b",
    "https://app.example/callback\r\nSet-Cookie: a=b",
    "https://app.example/callback\n",
    "https://app.example/callback\t",
    "https://app.example/callback ",
    " https://app.example/callback",
    "\thttps://app.example/callback",
    "https://app.example/Callback",
    "https://app.example/CALLBACK",
    "https://APP.example/callback",
    "HTTPS://app.example/callback",
    "Https://app.example/callback",
    "http://app.example/callback",
    "ftp://app.example/callback",
    "https://app.example:443/callback",
    "https://app.example:/callback",
    "https://app.example:8443/callback",
    "https://app.example./callback",
    "https://app.example.evil.example/callback",
    "https://evil-app.example/callback",
    "https://evil.example/app.example/callback",
    "https://evil.example/https://app.example/callback",
    "https://evil.example?https://app.example/callback",
    "https://evil.example#https://app.example/callback",
    "https://app.example@evil.example/callback",
    "https://app.example%40evil.example/callback",
    "https://app.example:pass@evil.example/callback",
    "https://user@app.example/callback",
    "https://evil.example\\@app.example/callback",
    "https://evil.example\\.app.example/callback",
    "https://app.example%2eevil.example/callback",
    "https://app.example%00.evil.example/callback",
    "https://app.example%23.evil.example/callback",
    "https://app\u3002example/callback",
    "https://app\uff0eexample/callback",
    "https://аpp.example/callback",
    "https://app.example/c\u00e0llback",
    "https://app.example/callbac\uff4b",
    "https://xn--pp-oia.example/callback",
    "https://sub.app.example/callback",
    "https://app.exampl/callback",
    "https://app.example/callbac",
    "https://app.example/callbackx",
    "https://app.example/%63allback",
    "https://127.0.0.1/callback",
    "https://[::1]/callback",
    "https://*.example/callback",
    "https://app.example/*",
    "javascript:alert(1)//https://app.example/callback",
    "data:text/html,https://app.example/callback",
    "vbscript:x",
    "file:///https://app.example/callback",
    "https://app.example/callback https://evil.example",
    "https://app.example/callback,https://evil.example",
    "null",
    "undefined",
    "urn:ietf:wg:oauth:2.0:oob",
)
LOOPBACK = "http://127.0.0.1/callback"
LOOPBACK_TRICKS = (
    "http://localhost/callback",
    "http://localhost:5000/callback",
    "http://[::1]:5000/callback",
    "https://127.0.0.1:5000/callback",
    "http://127.0.0.1:5000/",
    "http://127.0.0.1:5000/callback/",
    "http://127.0.0.1:5000/callback?x",
    "http://127.0.0.1:5000@evil.example/callback",
    "http://127.0.0.1:@evil.example/callback",
    "http://127.0.0.1:5000.evil.example/callback",
    "http://127.0.0.1.evil.example:5000/callback",
    "http://127.0.0.2:5000/callback",
    "http://127.1:5000/callback",
    "http://2130706433:5000/callback",
    "http://0x7f000001:5000/callback",
    "http://127.0.0.1:500000/callback",
    "http://127.0.0.1:-1/callback",
    "http://127.0.0.1:\u0665\u0660/callback",
    "http://127.0.0.1:50 00/callback",
    "http://127.0.0.1:5000\\callback",
    "http://127.0.0.1:5000/callback#x",
    "http://127.0.0.1:5000//callback",
    "http://evil.example:5000/callback",
    "http://127.0.0.1:5000\n/callback",
    "http://127.0.0.1:\n/callback",
)


def leads_out(page: Page) -> bool:
    """Whether anything on the page, or the response itself, leads to an address that was sent."""
    links = ('href="http', "http-equiv", 'action="http')
    return page.status != 400 or page.location is not None or any(link in page.text for link in links)


def accepted(world: World, browser: Browser, client: SomeClient, uris: tuple[str, ...]) -> list[str]:
    """Those addresses that anything was sent to."""
    return [uri for uri in uris if leads_out(browser.authorize(client, redirect_uri=uri))]


def test_a55_no_address_but_the_registered_string_gets_an_answer(world: World) -> None:
    assert len(set(TRICKS)) == len(TRICKS) >= 60
    client = world.make.client()
    browser, page = world.sign_in(client, world.make.person(totp=True))
    assert page.target is not None and page.target.startswith(REGISTERED + "?code=")
    codes = world.given_out()
    assert accepted(world, browser, client, TRICKS) == []
    assert world.given_out() == codes
    assert len(world.events(AuthorizationRefused)) == len(TRICKS)
    assert all(event.details["shown"] for event in world.events(AuthorizationRefused))
    twice = urlencode([*parameters(client).items(), ("redirect_uri", "https://evil.example/")])
    assert leads_out(browser.get(f"/authorize?{twice}")) is False


def test_a55_only_the_port_of_a_literal_loopback_address_may_differ_and_only_for_native_clients(world: World) -> None:
    values: dict[str, Any] = {"redirect_uris": [LOOPBACK], "token_endpoint_auth_method": "none"}
    native = world.make.client("native", application_type="native", **values)
    web = world.make.client("web", redirect_uris=[LOOPBACK])
    browser = world.browser()
    assert browser.authorize(native, redirect_uri="http://127.0.0.1:5000/callback").status == 303
    assert accepted(world, browser, native, LOOPBACK_TRICKS) == []
    assert accepted(world, browser, web, ("http://127.0.0.1:5000/callback", *LOOPBACK_TRICKS)) == []


@pytest.mark.parametrize("comparison", ["prefix", "case", "host"])
@mutation
def test_a55_a_comparison_that_is_not_exact_would_let_some_of_them_through(
    world: World, monkeypatch: pytest.MonkeyPatch, comparison: str
) -> None:
    exact = requesting_client.is_registered

    def lenient(uri: str, client: Client) -> bool:
        fits = {
            "prefix": uri.startswith(REGISTERED),
            "case": uri.lower() == REGISTERED,
            "host": "\x00" not in uri and urlsplit(uri).netloc.endswith("app.example"),
        }
        return fits[comparison] or exact(uri, client)

    monkeypatch.setattr(requesting_client, "is_registered", lenient)
    client = world.make.client()
    browser, _ = world.sign_in(client, world.make.person())
    plain = tuple(uri for uri in TRICKS if uri.isprintable() and uri.isascii() and "[" not in uri)
    assert accepted(world, browser, client, plain) != []


def test_a55_addresses_that_two_parsers_could_read_differently_cannot_be_registered(world: World) -> None:
    with world.app.app_context():
        clients = world.services.clients
        for uri in TRICKS:
            parts_differ = any(character in uri for character in "\\\x00\r\n\t #*@") or not uri.isascii()
            if parts_differ or not uri.lower().startswith("https://"):
                with pytest.raises(Refused):
                    clients.add("Een applicatie", [uri])


# A56

ERRORS: dict[str, dict[str, str | None]] = {
    "unsupported_response_type": {"response_type": "token"},
    "no response_type": {"response_type": None},
    "hybrid": {"response_type": "code id_token"},
    "no openid": {"scope": "profile"},
    "no scope": {"scope": None},
    "no pkce": {"code_challenge": None},
    "plain pkce": {"code_challenge_method": "plain"},
    "request object": {"request": "x.y.z"},
    "request_uri": {"request_uri": "https://evil.example/request"},
    "registration": {"registration": "{}"},
    "bad prompt": {"prompt": "maybe"},
    "none and login": {"prompt": "none login"},
    "bad max_age": {"max_age": "-1"},
    "bad claims": {"claims": "{"},
    "bad hint": {"id_token_hint": "x"},
    "bad mode": {"response_mode": "web_message"},
    "long state": {"state": "x" * 5000},
    "silent": {"prompt": "none"},
}
BAD_TARGETS: dict[str, dict[str, str | None]] = {
    "no redirect_uri": {"redirect_uri": None},
    "unregistered": {"redirect_uri": "https://evil.example/callback"},
    "of another client": {"redirect_uri": "https://other.example/callback"},
    "script": {"redirect_uri": "javascript:alert(1)"},
    "unknown client": {"client_id": "nobody", "redirect_uri": "https://evil.example/callback"},
    "no client": {"client_id": None, "redirect_uri": "https://evil.example/callback"},
    "odd client": {"client_id": "\x00", "redirect_uri": "https://evil.example/callback"},
}


def test_a56_an_error_travels_to_a_registered_address_only(world: World) -> None:
    client = world.make.client()
    world.make.client("ander", redirect_uris=["https://other.example/callback"])
    browser = world.browser()
    for error, changes in ERRORS.items():
        page = browser.authorize(client, **changes)
        assert page.status == 303 and page.target is not None, error
        # What would have come in the fragment is refused there, too (OAuth 2.0 Multiple Response Types 5).
        joint = "#" if error in ("unsupported_response_type", "hybrid") else "?"
        assert page.target.startswith(f"{REGISTERED}{joint}error="), error
        assert page.answer["iss"] == ISSUER and page.answer.get("state") in ("the state", None), error
        for target, wrong in BAD_TARGETS.items():
            refused = browser.authorize(client, **{**changes, **wrong})
            assert not leads_out(refused) and "evil.example" not in str(refused.headers), (error, target)


def test_a56_what_stands_in_an_error_page_is_text(world: World) -> None:
    client = world.make.client()
    for name in ("client_id", "redirect_uri"):
        page = world.browser().authorize(
            client, **{name: '"><script>alert(1)</script><a href="https://evil.example/">'}
        )
        assert page.status == 400 and "<script>alert" not in page.text and '<a href="https://evil' not in page.text


# A57


def test_a57_after_logging_out_only_a_registered_address_is_led_to(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    registered = "https://app.example/signed-out"
    browser, page = world.sign_in(client, anna)
    id_token = world.redeem(client, page.code).body["id_token"]
    tricks = [uri.replace("/callback", "/signed-out") for uri in TRICKS if uri and uri != registered]
    for uri in (*tricks, REGISTERED, "https://evil.example/"):
        hints: list[dict[str, str]] = [{"id_token_hint": id_token}]
        for hint in hints if uri in tricks else [*hints, {"client_id": "atosi"}, {}]:
            asked = browser.get("/end_session?" + urlencode({**hint, "post_logout_redirect_uri": uri}))
            assert 'id="logout-confirm"' in asked.text and asked.target is None, (uri, list(hint))
            assert asked.location is None and 'href="http' not in asked.text, (uri, list(hint))
    assert browser.authorize(client, prompt="none").code, "nobody was signed out by any of it"
    query = urlencode({"id_token_hint": id_token, "post_logout_redirect_uri": registered, "state": "a&b=\r\nc"})
    done = browser.get(f"/end_session?{query}")
    assert done.target == registered + "?state=" + quote("a&b=\r\nc")


def test_a57_no_other_parameter_leads_anywhere(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    names = ("next", "RelayState", "target", "return_to", "returnTo", "url", "goto", "continue", "rurl", "redirect")
    extra = {name: "https://evil.example/" for name in names}
    browser = world.browser()
    page = browser.begin(client, **extra)
    query = urlencode(extra)
    page = browser.get(f"{page.url}?{query}")
    assert "evil.example" not in page.action
    after = browser.post(f"{page.action}?{query}", {**page.fields, **anna.names, **extra})
    assert after.target is None and "evil.example" not in str(after.headers)
    done = browser.get(f"{after.location}?{query}")
    assert done.target is not None and done.target.startswith(REGISTERED)
    out = browser.get(f"/end_session?{query}")
    left = browser.press(out, decision="logout", **extra)
    assert left.target is None


# A54


def test_a54_every_authorization_response_says_who_answers(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    stranger = world.make.client("vreemd", first_party=False)
    strict = world.make.client("streng", minimum_acr=3)
    weak = world.make.account(world.make.organization("2"), "els", org_code="2")
    metadata = world.app.test_client().get("/.well-known/openid-configuration", base_url=ISSUER).get_json()
    assert metadata["authorization_response_iss_parameter_supported"] is True
    browser, page = world.sign_in(client, anna)
    answers = {"after the pages": page.answer}
    for mode in ("query", "fragment", "form_post"):
        answers[f"code, {mode}"] = browser.authorize(client, response_mode=mode).answer
        silent = world.browser().authorize(client, response_mode=mode, prompt="none")
        answers[f"error, {mode}"] = silent.answer
        refused = world.browser().authorize(client, response_mode=mode, scope="profile")
        answers[f"refusal, {mode}"] = refused.answer
        fresh = world.browser()
        answers[f"pages, {mode}"] = fresh.submit(fresh.begin(client, response_mode=mode), **weak.names).answer
    consent = browser.begin(stranger)
    answers["denied"] = browser.submit(consent, decision="deny").answer
    essential = '{"id_token": {"acr": {"essential": true, "value": "phr"}}}'
    answers["essential level"] = browser.authorize(client, claims=essential).answer
    answers["level, silently"] = _silent_level(world, client, strict, weak.names)
    for what, answer in answers.items():
        assert answer["iss"] == metadata["issuer"] == ISSUER, what
        assert ("code" in answer) != ("error" in answer) and answer["state"] == "the state", what


def _silent_level(world: World, client: SomeClient, strict: SomeClient, names: dict[str, str]) -> dict[str, str]:
    browser = world.browser()
    browser.submit(browser.begin(client), **names)
    return browser.authorize(strict, prompt="none").answer


# A43

HOSTS: tuple[dict[str, str], ...] = (
    {"Host": "evil.example"},
    {"Host": "evil.example:443"},
    {"Host": "login.example:1234"},
    {"Host": "login.example.evil.example"},
    {"Host": "login.example@evil.example"},
    {"Host": "evil.example/login.example"},
    {"Host": "evil.example, login.example"},
    {"Host": ""},
    {"X-Forwarded-Host": "evil.example"},
    {"X-Forwarded-Host": "evil.example, login.example"},
    {"X-Forwarded-Server": "evil.example"},
    {"X-Forwarded-Proto": "http", "X-Forwarded-Port": "80"},
    {"X-Forwarded-Prefix": "/evil.example"},
    {"X-Script-Name": "//evil.example"},
    {"Forwarded": 'host=evil.example;proto=http;for="[::1]"'},
    {"X-Original-URL": "https://evil.example/"},
    {"X-Rewrite-URL": "//evil.example/"},
    {"X-Host": "evil.example"},
    {"X-HTTP-Host-Override": "evil.example"},
    {"Origin": "https://evil.example", "Referer": "https://evil.example/"},
)


def test_a43_no_header_changes_where_anything_leads_or_who_answers(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    for headers in HOSTS:
        browser = world.browser(**headers)
        seen = [browser.get("/.well-known/openid-configuration"), browser.get("/")]
        if any(page.status == 400 for page in seen):
            assert "evil.example" not in seen[0].text + str(seen[0].headers), headers
            continue
        assert '"issuer":"https://login.example"' in seen[0].text
        seen.append(browser.authorize(client))
        seen.append(page := browser.follow(seen[-1]))
        seen.append(browser.press(page, **anna.names))
        seen.append(page := browser.follow(seen[-1]))
        assert page.answer["iss"] == ISSUER, headers
        assert client.secret is not None
        form = {"grant_type": "authorization_code", "code": page.code, "redirect_uri": client.redirect_uri}
        authorization = basic(client.client_id, client.secret)
        token = browser.post("/token", {**form, "code_verifier": "v" * 50}, Authorization=authorization)
        assert token.status == 200
        seen.append(browser.get("/end_session"))
        for each in seen:
            assert "evil.example" not in each.text + str(each.headers), (headers, each.url)
            assert each.location is None or each.location.startswith(("/s/", "/end")), (headers, each.location)


@contextmanager
def served(world: World) -> Iterator[int]:
    """The application behind a real HTTP server; its port."""
    server = make_server("127.0.0.1", 0, world.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a43_two_hosts_and_a_whole_address_in_the_request_line_change_nothing(world: World) -> None:
    client = world.make.client()
    path = "/authorize?" + urlencode(parameters(client))
    with served(world) as port:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        answered = connection.getresponse()
        answered.read()
        assert answered.status == 303 and (answered.getheader("Location") or "").startswith("/s/")
        connection.close()
        for request in (
            f"GET {path} HTTP/1.1\r\nHost: login.example\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
            f"GET {path} HTTP/1.1\r\nHost: evil.example\r\nHost: login.example\r\nConnection: close\r\n\r\n",
            f"GET https://evil.example{path} HTTP/1.1\r\nHost: login.example\r\nConnection: close\r\n\r\n",
            f"GET //evil.example{path} HTTP/1.1\r\nHost: login.example\r\nConnection: close\r\n\r\n",
            f"GET {path} HTTP/1.0\r\n\r\n",
        ):
            with create_connection(("127.0.0.1", port), 10) as raw:
                raw.sendall(request.encode())
                received = b""
                while chunk := raw.recv(65536):
                    received += chunk
            head = received.partition(b"\r\n\r\n")[0].decode("latin-1")
            assert head.split()[1] in ("303", "400", "404"), head
            assert "evil.example" not in head.replace("GET", ""), head


def test_a43_the_metadata_and_every_link_in_it_come_from_the_settings(world: World) -> None:
    metadata = world.app.test_client().get("/.well-known/openid-configuration", base_url="https://evil.example")
    for name, value in metadata.get_json().items():
        if isinstance(value, str) and value.startswith("http"):
            assert value.startswith(ISSUER), name
