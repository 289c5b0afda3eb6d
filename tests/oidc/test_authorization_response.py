"""The authorization response: query, fragment and form_post, for success and for every kind of error."""

import pytest

from idp.oidc.authorization_response import AuthorizationResponse
from tests.oidc.journeys import Answer, Browser, Provider, RelyingParty

MODES = ("query", "fragment", "form_post")
EVERY_MODE = pytest.mark.parametrize("mode", MODES)


def _parts(answer: Answer) -> dict[str, set[str]]:
    return {"query": set(answer.query), "fragment": set(answer.fragment), "form_post": set(answer.form)}


@pytest.mark.demand("E4")
@EVERY_MODE
def test_code_arrives_the_way_that_was_asked_for_and_no_other(
    provider: Provider, party: RelyingParty, browser: Browser, mode: str
) -> None:
    answer = browser.sign_in(party, provider.somebody(), response_mode=mode)
    assert answer.address == party.redirect_uri
    assert _parts(answer) == {other: {"code", "state", "iss"} if other == mode else set() for other in MODES}
    assert party.redeem(answer.values["code"]).status_code == 200


@EVERY_MODE
def test_code_without_a_page_in_between_arrives_the_same_way(
    provider: Provider, party: RelyingParty, browser: Browser, mode: str
) -> None:
    browser.sign_in(party, provider.somebody())
    answer = browser.silent(party, response_mode=mode)
    assert _parts(answer) == {other: {"code", "state", "iss"} if other == mode else set() for other in MODES}


@pytest.mark.demand(6)
@EVERY_MODE
@pytest.mark.parametrize(
    "changes", [{"prompt": "none"}, {"scope": "email"}, {"response_type": "token"}, {"request": "x"}], ids=str
)
def test_error_arrives_the_way_that_was_asked_for_and_no_other(
    party: RelyingParty, browser: Browser, mode: str, changes: dict[str, str]
) -> None:
    answer = Answer.read(browser.authorize(party, response_mode=mode, **changes))
    expected = {"error", "error_description", "state", "iss"}
    assert _parts(answer) == {other: expected if other == mode else set() for other in MODES}


@pytest.mark.demand(6)
@EVERY_MODE
def test_denial_arrives_the_way_that_was_asked_for(provider: Provider, browser: Browser, mode: str) -> None:
    party = provider.client(first_party=False)
    answer = browser.deny(party, provider.somebody(), response_mode=mode)
    assert _parts(answer)[mode] == {"error", "error_description", "state", "iss"}


def test_unknown_response_mode_is_an_error_in_the_default_mode_of_code(party: RelyingParty, browser: Browser) -> None:
    answer = Answer.read(browser.authorize(party, response_mode="web_message"))
    assert answer.query["error"] == "invalid_request"


@pytest.mark.demand(3)
@EVERY_MODE
def test_registered_query_is_kept(provider: Provider, browser: Browser, mode: str) -> None:
    uri = "https://app.example/cb?dummy1=lorem&dummy2=ipsum%20dolor"
    party = provider.client(redirect_uris=[uri])
    response = browser.authorize(party, prompt="none", response_mode=mode)
    if mode == "form_post":
        assert Answer.read(response).address == uri
    else:
        assert response.headers["Location"].startswith(uri + ("&" if mode == "query" else "#"))
        assert Answer.read(response).values["error"] == "login_required"


@pytest.mark.demand(3)
@EVERY_MODE
def test_registered_query_is_kept_in_success_and_denial_after_pages_too(
    provider: Provider, browser: Browser, mode: str
) -> None:
    uri = "https://app.example/cb?dummy1=lorem&dummy2=ipsum"
    party, who = provider.client(redirect_uris=[uri], first_party=False), provider.somebody()
    answers = [
        browser.deny(party, who, response_mode=mode),
        browser.sign_in(party, who, response_mode=mode),
        browser.silent(party, response_mode=mode),
    ]
    dummies = {"dummy1": "lorem", "dummy2": "ipsum"}
    for answer, sent in zip(answers, ("error", "code", "code"), strict=True):
        assert sent in answer.values
        if mode == "form_post":
            assert answer.address == uri and not answer.query
        else:
            assert dummies.items() <= answer.query.items()
            assert (sent in answer.query) == (mode == "query")


@pytest.mark.demand(8)
@EVERY_MODE
def test_issuer_is_in_every_response(provider: Provider, party: RelyingParty, browser: Browser, mode: str) -> None:
    silent = browser.silent(party, response_mode=mode)
    signed_in = browser.sign_in(party, provider.somebody(), response_mode=mode)
    assert "error" in silent.values
    assert "code" in signed_in.values
    assert silent.values["iss"] == signed_in.values["iss"] == provider.issuer


def test_form_post_page_lets_its_form_leave_and_every_other_page_does_not(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    posted = browser.authorize(party, prompt="none", response_mode="form_post")
    page = browser.get(browser.authorize(party).headers["Location"])
    assert "form-action" not in posted.headers["Content-Security-Policy"]
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]


def test_form_post_page_escapes_what_was_sent(party: RelyingParty, browser: Browser) -> None:
    state = "\"><script>alert(1)</script>&amp;'"
    response = browser.authorize(party, prompt="none", response_mode="form_post", state=state)
    assert "<script>alert" not in response.text
    assert Answer.read(response).form["state"] == state


def test_error_of_a_finished_journey_leaves_by_a_page_and_not_by_a_redirect(
    provider: Provider, browser: Browser
) -> None:
    # Browsers apply `form-action` to every redirect that follows a form POST.
    party = provider.client(first_party=False)
    last = browser.finish(browser.authorize(party), provider.somebody(), decision="deny")
    assert last.status_code == 200
    assert "error=access_denied" in last.text


@pytest.mark.parametrize(
    ("redirect_uri", "expected"),
    [
        ("https://app.example/cb", "https://app.example/cb?a=b"),
        ("https://app.example", "https://app.example?a=b"),
        ("https://app.example/cb?", "https://app.example/cb?a=b"),
        ("https://app.example/cb?c=d", "https://app.example/cb?c=d&a=b"),
        ("https://app.example/cb?c=d&", "https://app.example/cb?c=d&a=b"),
        ("com.example.app:/cb", "com.example.app:/cb?a=b"),
    ],
)
def test_parameters_are_joined_to_the_registered_uri(redirect_uri: str, expected: str) -> None:
    assert AuthorizationResponse("client", redirect_uri, "query", (("a", "b"),)).location() == expected


def test_native_scheme_is_offered_as_a_button_because_some_browsers_open_it_only_after_a_click(
    provider: Provider, browser: Browser
) -> None:
    party = provider.client(
        token_endpoint_auth_method="none", application_type="native", redirect_uris=["com.example.app:/cb"]
    )
    last = browser.finish(browser.authorize(party), provider.somebody())
    answer = Answer.read(last)
    assert (answer.address, set(answer.query)) == ("com.example.app:/cb", {"code", "state", "iss"})
    assert 'class="btn" id="handoff-link"' in last.text


def test_answer_is_never_kept_by_a_browser_or_named_to_another_site(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    last = browser.finish(browser.authorize(party), provider.somebody())
    redirected = browser.authorize(party, prompt="none")
    for response in (last, redirected):
        assert "code=" in response.text + response.headers.get("Location", "")
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"
