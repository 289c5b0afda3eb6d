"""Consent: applications of third parties ask once."""

import pytest

from idp.audit.events import ConsentDenied, ConsentGiven
from tests.conftest import ISSUER
from tests.journeys.driver import World
from tests.relying_party import RelyingParty


@pytest.fixture
def derde(world: World) -> RelyingParty:
    return world.party("derde", first_party=False)


def test_third_partys_consent_is_asked_once_and_shows_the_real_values(world: World, derde: RelyingParty) -> None:
    anna = world.person()
    visit = world.visit(party=derde).identify(anna)
    assert visit.prompt == "consent"
    for value in ("Derde", "app.example", "Anna de Wit", "anna@voorbeeld.example", "De Linde"):
        assert value in visit.page.text
    tokens = visit.press("consent-allow").tokens()
    assert tokens.claims["sub"] == anna.sub and tokens.scope == "openid profile email"
    assert visit.again().tokens() and visit.again(prompt="none").tokens()
    assert world.visit(party=derde).identify(anna).tokens(), "in another browser"
    assert len(world.events(ConsentGiven)) == 1


def test_first_party_asks_no_consent_even_when_the_request_does(world: World) -> None:
    assert world.visit(prompt="consent").identify(world.person()).tokens()


def test_prompt_consent_asks_again(world: World, derde: RelyingParty) -> None:
    anna = world.person()
    visit = world.visit(party=derde).identify(anna).press("consent-allow")
    again = visit.again(prompt="consent")
    assert again.prompt == "consent"
    assert again.press("consent-allow").tokens()


def test_wider_scope_is_asked_and_a_narrower_one_is_not(world: World, derde: RelyingParty) -> None:
    anna = world.person()
    visit = world.visit(party=derde, scope="openid email").identify(anna)
    assert "Anna de Wit" not in visit.page.text
    assert visit.press("consent-allow").tokens().scope == "openid email"
    assert visit.again(scope="openid").tokens().scope == "openid"
    wider = visit.again(scope="openid email profile")
    assert wider.prompt == "consent"
    assert wider.press("consent-allow").tokens().scope == "openid email profile"


def test_consent_of_one_person_is_not_anothers(world: World, derde: RelyingParty) -> None:
    world.visit(party=derde).identify(world.person()).press("consent-allow")
    assert world.visit(party=derde).identify(world.person("bram")).prompt == "consent"


def test_denied_consent_is_access_denied_and_leaves_the_session(world: World, derde: RelyingParty) -> None:
    visit = world.visit(party=derde).identify(world.person()).press("consent-deny")
    assert visit.error == "access_denied" and visit.page.departure.via == "handoff"
    assert len(world.events(ConsentDenied)) == 1 and world.events(ConsentGiven) == []
    assert visit.again(world.party()).tokens(), "the person is signed in, only this application gets nothing"
    assert visit.again(derde).prompt == "consent"


def test_answer_no_is_a_redirect_to_our_own_page_that_can_be_reloaded(world: World, derde: RelyingParty) -> None:
    visit = world.visit(party=derde).identify(world.person())
    form = {"decision": "deny", "csrf_token": visit.csrf_token}
    response = visit.browser.client.post(visit.page.path, base_url=ISSUER, data=form)
    assert response.status_code == 303
    for _ in range(2):
        page = visit.browser.open(response.headers["Location"])
        assert page.heading == "U gaat nu naar Derde"
        assert page.departure.parameters["error"] == "access_denied"


def test_denied_request_yields_nothing_more(world: World, derde: RelyingParty) -> None:
    visit = world.visit(party=derde).identify(world.person())
    page, _ = visit.page.url, visit.csrf_token
    interaction = visit.interaction_id
    confirm = visit.page.field("confirm").attributes["value"]
    visit.press("consent-deny")
    for prompt in ("consent", "continue", "identify"):
        shown = visit.browser.open(f"https://login.example/s/{interaction}/{prompt}")
        assert not shown.has_left or "code" not in shown.departure.parameters
    posted = visit.browser.post(page, {"decision": "allow", "confirm": confirm, "csrf_token": visit.csrf_token})
    assert not posted.has_left or "code" not in posted.departure.parameters


@pytest.mark.parametrize(
    "form", [{}, {"decision": ""}, {"decision": "yes"}, {"decision": "allow"}, {"decision": "allow", "confirm": "1"}]
)
def test_answer_that_is_neither_yes_nor_no_asks_again(world: World, derde: RelyingParty, form: dict[str, str]) -> None:
    visit = world.visit(party=derde).identify(world.person())
    assert visit.post("consent", **form).prompt == "consent"
    assert world.events(ConsentGiven) == []


def test_scope_and_client_in_the_posted_form_change_nothing(world: World, derde: RelyingParty) -> None:
    world.party("atosi")
    visit = world.visit(party=derde, scope="openid").identify(world.person())
    confirm = visit.page.field("confirm").attributes["value"]
    visit.post(
        "consent", decision="allow", confirm=confirm, scope="openid profile email", client_id="atosi", account="2"
    )
    tokens = visit.tokens()
    assert tokens.scope == "openid" and tokens.claims["aud"] == "derde"


def test_consent_before_the_code_is_refused(world: World, derde: RelyingParty) -> None:
    anna = world.person(totp=True)
    visit = world.visit(party=derde)
    assert visit.csrf_token
    visit.identify(anna).post("consent", decision="allow")
    assert visit.prompt == "verify_second_factor" and world.events(ConsentGiven) == []
    visit.post("consent", decision="deny")
    assert visit.prompt == "verify_second_factor"
    assert visit.prove(anna).prompt == "consent"


def test_public_client_on_a_custom_scheme_always_shows_a_page(world: World) -> None:
    native = world.party(
        "telefoon",
        token_endpoint_auth_method="none",
        application_type="native",
        redirect_uris=["nl.example.app:/callback"],
    )
    anna = world.person()
    visit = world.visit(party=native).identify(anna)
    assert visit.prompt == "consent"
    visit.press("consent-allow")
    assert visit.tokens().claims["sub"] == anna.sub
    again = visit.again()
    assert again.prompt == "consent", "any program on the device could be this one"
    assert visit.again(prompt="none").error == "consent_required"


def test_consent_page_of_one_person_never_answers_for_another(world: World, derde: RelyingParty) -> None:
    """The page shows the data of whoever was signed in; another tab signs in somebody else meanwhile."""
    anna, bram = world.person(), world.person("bram", name="Bram Bos")
    first = world.signed_in(anna)
    page = first.again(derde)
    assert "Anna de Wit" in page.page.text
    first.again(prompt="select_account").press("account-other").identify(bram)
    page.press("consent-allow")
    assert page.prompt == "consent" and "Bram Bos" in page.page.text, "nobody allowed this for Bram yet"
    assert world.events(ConsentGiven) == []
    assert page.press("consent-allow").tokens().claims["sub"] == bram.sub
