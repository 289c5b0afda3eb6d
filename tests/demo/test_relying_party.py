"""An application of the demonstration and a provider that behaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, session
from flask.testing import FlaskClient

from idp.demo.relying_party import RelyingPartyConfig, create_relying_party
from idp.kernel.clock import FixedClock
from idp_kit.extension import local_path
from tests.demo.hostile_provider import HostileProvider, Key, consent_at, new_key

BY_A_PERSON = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"}


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def sign_in(browser: FlaskClient, next_path: str = "/") -> str:
    """Where the application sends the browser after a successful sign-in."""
    to_provider = browser.get("/login", query_string={"next": next_path})
    back = browser.get(path_of(consent_at(to_provider.headers["Location"])))
    assert back.status_code == 303, back.text
    return back.headers["Location"]


def csrf_token(browser: FlaskClient) -> str:
    page = browser.get("/").text
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


def cookie_of(browser: FlaskClient) -> str | None:
    cookie = browser.get_cookie("atosi_session")
    return cookie.value if cookie else None


def test_welcome_page_before_signing_in_offers_one_way_in_and_sets_no_cookie(browser: FlaskClient) -> None:
    page = browser.get("/")
    assert 'id="login" href="/login"' in page.text
    assert "Set-Cookie" not in page.headers
    assert browser.get("/api/session").json == {"signed_in": False}


def test_authorization_request_carries_pkce_state_and_nonce(
    browser: FlaskClient, provider: HostileProvider, config: RelyingPartyConfig
) -> None:
    location = browser.get("/login").headers["Location"]
    sent = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert location.startswith(f"{provider.issuer}/authorize?")
    assert (sent["response_type"], sent["client_id"], sent["redirect_uri"]) == (
        "code",
        "atosi",
        config.for_kit().redirect_uri,
    )
    assert sent["code_challenge_method"] == "S256" and len(sent["code_challenge"]) == 43
    assert len(sent["state"]) >= 20 and len(sent["nonce"]) >= 20
    assert set(sent["scope"].split()) == {"openid", "profile", "email"}


def test_signing_in_shows_the_person_and_what_is_known(browser: FlaskClient) -> None:
    assert sign_in(browser) == "/"
    page = browser.get("/").text
    assert 'id="welcome">Welkom, Anna de Wit<' in page
    for known in ("Gemeente Voorbeeld", "10234", "anna-1", "session-1", "2 februari 2026, 10.30 uur", "/acr/3"):
        assert known in page
    shown = browser.get("/api/session").json
    assert shown is not None and shown["signed_in"] is True
    assert shown["claims"]["sub"] == shown["userinfo"]["sub"] == "anna-1"


def test_signing_in_with_es256_works(browser: FlaskClient, provider: HostileProvider) -> None:
    provider.signing_key = new_key("ES256", "curve")
    provider.published = [dict(provider.signing_key.as_dict(private=False))]
    assert sign_in(browser) == "/"


def test_tokens_reach_neither_the_pages_nor_the_cookie(browser: FlaskClient, provider: HostileProvider) -> None:
    sent: list[str] = []

    def keep(response: dict[str, str]) -> dict[str, str]:
        sent.extend((response["access_token"], response["id_token"]))
        return response

    provider.change_token_response = keep
    sign_in(browser)
    seen = f"{browser.get('/').text} {browser.get('/api/session').text} {cookie_of(browser)}"
    assert len(sent) == 2
    assert not any(token in seen for token in sent)
    assert "." not in (cookie_of(browser) or "."), "the cookie is one random value, not a container"


def test_cookie_is_for_this_application_only_and_out_of_reach_of_scripts(browser: FlaskClient) -> None:
    header = browser.get("/login").headers["Set-Cookie"]
    assert header.startswith("atosi_session=")
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in header.split(";")}


def test_cookie_known_before_signing_in_opens_nothing_afterwards(application: Flask) -> None:
    browser, other = application.test_client(), application.test_client()
    location = browser.get("/login").headers["Location"]
    known = cookie_of(browser)
    assert known is not None
    browser.get(path_of(consent_at(location)))
    assert cookie_of(browser) != known
    other.set_cookie("atosi_session", known)
    assert other.get("/api/session").json == {"signed_in": False}
    assert browser.get("/api/session").json["signed_in"] is True  # type: ignore[index]


def test_guessed_cookie_is_not_adopted(application: Flask) -> None:
    browser = application.test_client()
    browser.set_cookie("atosi_session", "chosen-by-somebody-else")
    browser.get("/login")
    assert cookie_of(browser) != "chosen-by-somebody-else"


def test_session_unused_for_thirty_minutes_is_gone(browser: FlaskClient, clock: FixedClock) -> None:
    sign_in(browser)
    clock.move(timedelta(minutes=29, seconds=59))
    assert "Welkom, Anna" in browser.get("/", headers=BY_A_PERSON).text
    clock.move(timedelta(minutes=29, seconds=59))
    assert "Welkom, Anna" in browser.get("/").text
    clock.move(timedelta(seconds=1))
    page = browser.get("/", follow_redirects=True).text
    assert "U bent automatisch uitgelogd" in page and "Opnieuw inloggen" in page
    assert "Welkom bij" in browser.application.test_client().get("/").text, "who never logged in is told nothing"


def test_sign_in_that_another_tab_overtook_ends_on_a_page_that_says_so(browser: FlaskClient) -> None:
    first, second = (browser.get("/login").headers["Location"] for _ in range(2))
    assert browser.get(path_of(consent_at(second))).status_code == 303
    overtaken = browser.get(path_of(consent_at(first)))
    assert overtaken.status_code == 400 and "U bent al ingelogd" in overtaken.text
    assert browser.get("/api/session").json["signed_in"] is True  # type: ignore[index]


def test_any_of_several_tabs_may_be_the_one_that_finishes(browser: FlaskClient) -> None:
    first, _ = (browser.get("/login").headers["Location"] for _ in range(2))
    assert browser.get(path_of(consent_at(first))).status_code == 303


def test_endless_begun_sign_ins_do_not_fill_the_memory(application: Flask) -> None:
    browser = application.test_client()
    with browser:
        for _ in range(30):
            browser.get("/login")
        assert len([key for key in session if key.startswith("_state_")]) == 20


def test_next_leads_back_to_the_page_that_was_asked_for(browser: FlaskClient) -> None:
    assert sign_in(browser, "/?page=2") == "/?page=2"


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "\\\\evil.example",
        "javascript:1",
        "",
        "x",
    ],
)
def test_next_that_leads_away_becomes_the_home_page(browser: FlaskClient, wanted: str) -> None:
    assert local_path(wanted) == "/"
    assert sign_in(browser, wanted) == "/"


def test_logging_out_ends_the_session_here_and_asks_the_provider_to_end_its_own(
    browser: FlaskClient, provider: HostileProvider, config: RelyingPartyConfig
) -> None:
    sign_in(browser)
    answer = browser.post("/logout", data={"csrf_token": csrf_token(browser)})
    assert answer.status_code == 303
    location = answer.headers["Location"]
    sent = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert location.startswith(f"{provider.issuer}/end_session?")
    assert sent["client_id"] == "atosi" and sent["id_token_hint"].count(".") == 2
    assert sent["post_logout_redirect_uri"] == config.for_kit().post_logout_redirect_uri
    assert browser.get("/api/session").json == {"signed_in": False}
    page = browser.get("/signed-out", query_string={"state": sent["state"]}).text
    assert "U bent uitgelogd bij Atosi en bij de inlogdienst." in page
    assert "en uw andere programma's" not in page, "whether those were reached is not known here"


def test_end_that_nobody_could_check_is_not_called_inactivity_and_the_way_back_is_kept(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    sign_in(browser)
    provider.clients["atosi"] = "another secret by now"
    clock.move(timedelta(minutes=30))
    to_page = browser.get("/?page=2").headers["Location"]
    assert to_page == "/signed-out?next=/?page%3D2"
    page = browser.get(to_page).text
    assert "Wij konden niet controleren of u nog ingelogd was. Log opnieuw in." in page
    assert "niets gedaan" not in page and "next=/?page%3D2" in page


def test_signed_out_page_says_so_only_to_the_browser_that_logged_out(browser: FlaskClient) -> None:
    assert "U bent niet ingelogd" in browser.get("/signed-out?state=guessed").text
    sign_in(browser)
    assert browser.get("/signed-out").headers["Location"] == "/"


@pytest.mark.parametrize("token", [None, "", "wrong", "é"])
def test_logging_out_without_the_csrf_token_is_refused(browser: FlaskClient, token: str | None) -> None:
    sign_in(browser)
    assert browser.post("/logout", data={} if token is None else {"csrf_token": token}).status_code == 403
    assert browser.get("/logout").status_code == 405
    assert browser.get("/api/session").json["signed_in"] is True  # type: ignore[index]


def test_keys_that_were_rotated_are_read_again_but_not_at_every_request(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock, other_rsa_key: Key
) -> None:
    sign_in(browser)
    provider.signing_key = other_rsa_key
    for _ in range(3):
        location = browser.get("/login").headers["Location"]
        assert browser.get(path_of(consent_at(location))).status_code == 400, "not published yet"
    assert provider.calls["/jwks"] == 1, "read within the last ten seconds"
    provider.published.append(dict(other_rsa_key.as_dict(private=False)))
    clock.move(timedelta(seconds=10))
    assert sign_in(browser) == "/"
    assert provider.calls["/jwks"] == 2


@pytest.fixture
def silent_provider(provider: HostileProvider, config: RelyingPartyConfig, clock: FixedClock) -> Iterator[FlaskClient]:
    """An application whose provider does not answer at all."""
    elsewhere = replace(config, issuer="http://127.0.0.1:9", provider_timeout=timedelta(seconds=1))
    yield create_relying_party(elsewhere, clock).test_client()


def test_provider_that_is_down_yields_a_page_that_says_so(silent_provider: FlaskClient) -> None:
    page = silent_provider.get("/login", query_string={"next": "/?page=2"})
    assert page.status_code == 503 and page.headers["Retry-After"] == "60"
    assert "De inlogdienst antwoordt niet" in page.text
    assert 'href="/login?next=/?page%3D2">Opnieuw inloggen</a>' in page.text


def test_provider_that_comes_up_later_is_found(
    browser: FlaskClient, provider: HostileProvider, config: RelyingPartyConfig
) -> None:
    honest, provider.change_discovery = provider.change_discovery, lambda document: {**document, "issuer": "http://x"}
    assert browser.get("/login").status_code == 503
    provider.change_discovery = honest
    assert sign_in(browser) == "/"


def test_every_page_forbids_inline_code_framing_and_foreign_form_targets(
    browser: FlaskClient, provider: HostileProvider
) -> None:
    for path in ("/", "/signed-out", "/callback", "/nowhere", "/static/application.css"):
        with browser.get(path) as page:
            headers = page.headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and f"form-action 'self' {provider.issuer}" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_page_that_does_not_exist_is_explained_in_dutch(browser: FlaskClient) -> None:
    page = browser.get("/nowhere")
    assert page.status_code == 404
    assert "Deze pagina bestaat niet" in page.text


def test_accent_that_does_not_exist_is_refused_at_the_start(config: RelyingPartyConfig) -> None:
    with pytest.raises(ValueError, match="accent"):
        create_relying_party(replace(config, accent="neon"))
