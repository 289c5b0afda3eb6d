"""The demonstration's applications at the provider: one sign-in serves both."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask.testing import FlaskClient

from idp.demo.relying_party import RelyingPartyConfig, create_relying_party
from tests.live import LiveProvider
from tests.relying_party import Browser

ATOSI, RAPPORTAGES = "http://127.0.0.1:8001", "http://127.0.0.1:8002"


def application(
    provider: LiveProvider, name: str, base_url: str, accent: str, other: tuple[str, str], first_party: bool = True
) -> FlaskClient:
    client_id = name.lower()
    _, secret = provider.add_client(
        client_id, f"{base_url}/callback", post_logout_redirect_uris=[f"{base_url}/signed-out"], first_party=first_party
    )
    config = RelyingPartyConfig(
        name=name,
        issuer=provider.issuer,
        client_id=client_id,
        client_secret=secret,
        base_url=base_url,
        secret_key="a key for tests only",
        session_cookie=f"{client_id}_session",
        accent=accent,
        other_name=other[0],
        other_url=other[1],
    )
    return create_relying_party(config).test_client()


def sign_in(provider: LiveProvider, app: FlaskClient, browser: Browser) -> None:
    parts = urlsplit(provider.sign_in(app.get("/login").headers["Location"], browser))
    arrived = app.get(f"{parts.path}?{parts.query}")
    assert arrived.headers.get("Location") == "/", arrived.text


def test_one_sign_in_serves_both_applications_and_logging_out_ends_it_at_the_provider(
    live_provider: LiveProvider,
) -> None:
    atosi = application(live_provider, "Atosi", ATOSI, "plum", ("Rapportages", RAPPORTAGES))
    rapportages = application(live_provider, "Rapportages", RAPPORTAGES, "moss", ("Atosi", ATOSI))
    browser = live_provider.browser()
    sign_in(live_provider, atosi, browser)
    page = atosi.get("/").text
    assert "Welkom, Anna de Wit" in page and "De Linde" in page and "alleen wachtwoord" in page

    asked = browser.open(rapportages.get("/login").headers["Location"])
    assert asked.departure.via == "redirect", "nothing was asked"
    assert rapportages.get(asked.departure.url.removeprefix(RAPPORTAGES)).status_code == 303
    sessions = [app.get("/api/session").json for app in (atosi, rapportages)]
    assert sessions[0]["claims"]["sid"] == sessions[1]["claims"]["sid"]  # type: ignore[index]

    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    leaving = atosi.post("/logout", data={"csrf_token": token}).headers["Location"]
    back = browser.open(leaving).departure.url
    assert "U bent uitgelogd" in atosi.get(back.removeprefix(ATOSI)).text
    assert browser.open(rapportages.get("/login").headers["Location"]).has("login-submit")


def test_application_whose_user_denies_consent_says_that_nobody_signed_in(live_provider: LiveProvider) -> None:
    atosi = application(live_provider, "Atosi", ATOSI, "plum", ("Rapportages", RAPPORTAGES), first_party=False)
    page = live_provider.browser().open(atosi.get("/login").headers["Location"])
    page = page.submit(live_provider.anna.names, button="login-submit")
    denied = atosi.get(page.submit(button="consent-deny").departure.url.removeprefix(ATOSI))
    assert denied.status_code == 403 and "U bent niet ingelogd" in denied.text
    assert atosi.get("/api/session").json == {"signed_in": False}
