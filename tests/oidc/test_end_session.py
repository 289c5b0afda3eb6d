"""Logout that a client asks for (OpenID Connect RP-Initiated Logout 1.0)."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from idp.sessions.models import Session
from tests.factories import Somebody
from tests.oidc.journeys import Answer, Browser, Parameter, Provider, RelyingParty, body, form_encoded, was_sent
from tests.oidc.signing import encoded, signed
from tests.web.reading import Page

SIGNED_OUT = "https://app.example/signed-out"


@pytest.fixture
def who(provider: Provider) -> Somebody:
    return provider.somebody()


@pytest.fixture
def hint(provider: Provider, party: RelyingParty, browser: Browser, who: Somebody) -> str:
    """The ID token of the browser's live session."""
    return str(body(party.redeem(browser.sign_in(party, who).values["code"]))["id_token"])


def _end(browser: Browser, **parameters: Parameter) -> TestResponse:
    return browser.get("/end_session", query=form_encoded(parameters))


def _is_signed_in(browser: Browser) -> bool:
    return "code" in browser.silent(browser.provider.client()).values


def _asks(response: TestResponse) -> bool:
    return response.status_code == 200 and bool(Page.read(response.text).root.having("id", "logout-confirm"))


def _answer(browser: Browser, question: TestResponse, decision: str) -> TestResponse:
    form = Page.read(question.text).root.one("form")
    hidden = {each.attributes["name"]: each.attributes["value"] for each in form.all("input")}
    return browser.post(form.attributes["action"], {**hidden, "decision": decision})


def test_hint_of_the_live_session_ends_it_without_a_question(browser: Browser, hint: str) -> None:
    ended = _end(browser, id_token_hint=hint)
    assert ended.status_code == 303 and ended.headers["Location"].startswith("/signed_out?about=")
    assert not _asks(ended)
    assert not was_sent(ended)
    assert not _is_signed_in(browser)


def test_session_has_its_reason_and_the_cookie_is_gone(provider: Provider, browser: Browser, hint: str) -> None:
    ended = _end(browser, id_token_hint=hint)
    assert "__Host-idp_session=;" in str(ended.headers.getlist("Set-Cookie"))
    with provider.writing() as unit:
        session = unit.query(Session).filter_by(sid=provider.claims(hint)["sid"]).one()
    assert session.end_reason == "logout"


def test_expired_hint_is_as_good(provider: Provider, browser: Browser, hint: str) -> None:
    provider.clock.move(timedelta(minutes=20))
    assert not _asks(_end(browser, id_token_hint=hint))
    assert not _is_signed_in(browser)


@pytest.mark.demand(88)
@pytest.mark.parametrize("state", [None, "s t&a=t\u2603e", "x" * 1000])
def test_person_goes_back_to_the_registered_address_with_the_state_and_nothing_else(
    browser: Browser, hint: str, state: str | None
) -> None:
    ended = _end(browser, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT, state=state)
    answer = Answer.read(ended)
    assert answer.address == SIGNED_OUT
    assert answer.values == ({} if state is None else {"state": state})
    assert not _is_signed_in(browser)


def test_registered_query_is_kept(provider: Provider, browser: Browser) -> None:
    uri = "https://app.example/signed-out?tenant=1"
    party = provider.client(post_logout_redirect_uris=[uri])
    hint = body(party.redeem(browser.sign_in(party, provider.somebody()).values["code"]))["id_token"]
    answer = Answer.read(_end(browser, id_token_hint=hint, post_logout_redirect_uri=uri, state="s"))
    assert answer.query == {"tenant": "1", "state": "s"}


@pytest.mark.demand(85)
@pytest.mark.parametrize(
    "changes",
    [
        {"post_logout_redirect_uri": "https://evil.example/"},
        {"post_logout_redirect_uri": SIGNED_OUT + "/"},
        {"post_logout_redirect_uri": SIGNED_OUT + "?a=b"},
        {"post_logout_redirect_uri": "https://app.example/callback"},
        {"post_logout_redirect_uri": "javascript:alert(1)"},
        {"post_logout_redirect_uri": [SIGNED_OUT, SIGNED_OUT]},
        {"client_id": "nobody"},
        {"client_id": "no\x00body"},
        {"state": ["a", "b"]},
        {"id_token_hint": "not a token"},
        {"id_token_hint": "e30.e30."},
    ],
    ids=str,
)
def test_wrong_request_asks_and_leads_nowhere(browser: Browser, hint: str, changes: dict[str, Parameter]) -> None:
    right: dict[str, Parameter] = {"id_token_hint": hint, "post_logout_redirect_uri": SIGNED_OUT, "state": "s"}
    question = _end(browser, **{**right, **changes})
    assert _asks(question)
    assert _is_signed_in(browser)
    gone = _answer(browser, question, "logout")
    assert gone.status_code == 303
    assert not was_sent(gone)
    assert not _is_signed_in(browser)


def test_wrong_request_of_somebody_who_is_not_signed_in_leads_nowhere(provider: Provider) -> None:
    shown = _end(provider.browser(), id_token_hint="not a token", post_logout_redirect_uri=SIGNED_OUT)
    assert shown.status_code == 200
    assert not _asks(shown)
    assert not was_sent(shown)


@pytest.mark.demand(86)
def test_unsigned_or_changed_hint_spares_no_question(browser: Browser, hint: str) -> None:
    header, payload, signature = hint.split(".")
    for forged in (f"eyJhbGciOiJub25lIn0.{payload}.", f"{header}.{payload}.", f"{header}.{payload}.{signature[::-1]}"):
        assert _asks(_end(browser, id_token_hint=forged, post_logout_redirect_uri=SIGNED_OUT))
    assert _is_signed_in(browser)


@pytest.mark.parametrize("state", [None, "s t&a=t"])
def test_bare_client_id_asks_and_then_goes_back_to_the_registered_address(
    party: RelyingParty, browser: Browser, hint: str, state: str | None
) -> None:
    question = _end(browser, client_id=party.client_id, post_logout_redirect_uri=SIGNED_OUT, state=state)
    assert _asks(question)
    assert _is_signed_in(browser)
    answer = Answer.read(_answer(browser, question, "logout"))
    assert (answer.address, answer.values) == (SIGNED_OUT, {} if state is None else {"state": state})
    assert not _is_signed_in(browser)


def test_address_of_another_client_is_not_led_to_on_the_word_of_a_bare_client_id(
    provider: Provider, browser: Browser, hint: str
) -> None:
    other = provider.client(post_logout_redirect_uris=["https://other.example/signed-out"])
    gone = _answer(browser, _end(browser, client_id=other.client_id, post_logout_redirect_uri=SIGNED_OUT), "logout")
    assert gone.status_code == 303
    assert not was_sent(gone)


def test_client_id_of_somebody_else_makes_the_hint_worth_nothing(
    provider: Provider, browser: Browser, hint: str
) -> None:
    other = provider.client()
    question = _end(browser, id_token_hint=hint, client_id=other.client_id, post_logout_redirect_uri=SIGNED_OUT)
    assert _asks(question)
    assert not was_sent(_answer(browser, question, "logout"))


@dataclass(frozen=True)
class Leaving:
    """Somebody who is signed in with two clients, and everything that a logout of theirs could be asked for with."""

    browser: Browser
    who: Somebody
    party: RelyingParty
    other: RelyingParty
    hint: str

    @property
    def provider(self) -> Provider:
        return self.browser.provider

    def changed(self) -> str:
        """The hint, of which one claim is another."""
        header, payload, signature = self.hint.split(".")
        claims = json.loads(urlsafe_b64decode(payload + "=="))
        return f"{header}.{encoded({**claims, 'sub': 'somebody else'})}.{signature}"

    def unsigned(self) -> str:
        return f"{encoded({'alg': 'none'})}.{self.hint.split('.')[1]}."

    def of_a_stranger(self, **changes: str) -> str:
        """What the hint says, with these changes, signed with a key that is not ours under the name of ours."""
        claims = {**self.provider.claims(self.hint), **changes}
        kid = self.provider.decoded(self.hint).header["kid"]
        return signed(claims, "RS256", kid=kid)

    def expired(self) -> str:
        self.provider.clock.move(timedelta(minutes=6))
        return self.hint

    def of_another_session(self) -> str:
        return self.party.signed_in(self.who)["id_token"]

    def of_somebody_else(self) -> str:
        return self.party.signed_in(self.provider.somebody())["id_token"]


@pytest.fixture
def leaving(provider: Provider, browser: Browser) -> Leaving:
    party = provider.client()
    other = provider.client(post_logout_redirect_uris=["https://other.example/signed-out"])
    who = provider.somebody()
    hint = str(body(party.redeem(browser.sign_in(party, who).values["code"]))["id_token"])
    assert "code" in browser.silent(other).values
    return Leaving(browser, who, party, other, hint)


ASKS, GOES = True, False
HERE = {"post_logout_redirect_uri": SIGNED_OUT}
ELSEWHERE = {"post_logout_redirect_uri": "https://app.example/foo"}
# What is sent; whether the person is asked first; whether the browser is led to the registered address.
LOGOUTS: dict[str, tuple[Callable[[Leaving], dict[str, Parameter]], bool, bool]] = {
    "hint": (lambda it: {"id_token_hint": it.hint, **HERE}, GOES, True),
    "hint and its client": (
        lambda it: {"id_token_hint": it.hint, "client_id": it.party.client_id, **HERE},
        GOES,
        True,
    ),
    "expired hint": (lambda it: {"id_token_hint": it.expired(), **HERE}, GOES, True),
    "hint, no address": (lambda it: {"id_token_hint": it.hint}, GOES, False),
    "hint, address of nobody": (lambda it: {"id_token_hint": it.hint, **ELSEWHERE}, ASKS, False),
    "hint, address with a query": (
        lambda it: {"id_token_hint": it.hint, "post_logout_redirect_uri": f"{SIGNED_OUT}?a=b"},
        ASKS,
        False,
    ),
    "hint, address of another client": (
        lambda it: {"id_token_hint": it.hint, "post_logout_redirect_uri": "https://other.example/signed-out"},
        ASKS,
        False,
    ),
    "hint and another client": (
        lambda it: {"id_token_hint": it.hint, "client_id": it.other.client_id, **HERE},
        ASKS,
        False,
    ),
    "hint of another session": (lambda it: {"id_token_hint": it.of_another_session(), **HERE}, ASKS, True),
    "hint of somebody else": (lambda it: {"id_token_hint": it.of_somebody_else(), **HERE}, ASKS, True),
    "changed hint": (lambda it: {"id_token_hint": it.changed(), **HERE}, ASKS, False),
    "bad hint": (lambda it: {"id_token_hint": "bad", **HERE}, ASKS, False),
    "hint without signature": (lambda it: {"id_token_hint": it.unsigned(), **HERE}, ASKS, False),
    "hint signed by a stranger": (lambda it: {"id_token_hint": it.of_a_stranger(), **HERE}, ASKS, False),
    "hint of another issuer": (
        lambda it: {"id_token_hint": it.of_a_stranger(iss="https://evil.example"), **HERE},
        ASKS,
        False,
    ),
    "no hint": (lambda it: HERE, ASKS, False),
    "no hint, only a client": (lambda it: {"client_id": it.party.client_id, **HERE}, ASKS, True),
    "nothing": (lambda it: {}, ASKS, False),
}


@pytest.mark.demand(85, 86, 87, 88, 89)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("state", [None, "s t&a=t\u2603e"], ids=["no state", "state"])
@pytest.mark.parametrize("case", LOGOUTS)
def test_logout_ends_the_session_and_leads_where_it_may_and_nowhere_else(
    leaving: Leaving, case: str, state: str | None, method: str
) -> None:
    make, asks, leads = LOGOUTS[case]
    browser, sent = leaving.browser, {**make(leaving), "state": state}
    if method == "GET":
        response = _end(browser, **sent)
    else:
        posted = browser.post("/end_session", form_encoded(sent), {"Sec-Fetch-Site": "cross-site"})
        response = browser.get(posted.headers["Location"])
    assert _asks(response) is asks
    if asks:
        assert not was_sent(response)
        assert "code" in browser.silent(leaving.party).values, "nothing has ended yet"
        response = _answer(browser, response, "logout")
    if leads:
        answer = Answer.read(response)
        assert (answer.address, answer.values) == (SIGNED_OUT, {} if state is None else {"state": state})
    else:
        assert not was_sent(response)
        shown = browser.get(response.headers["Location"])
        assert shown.status_code == 200 and "U bent uitgelogd" in shown.text
    for party in (leaving.party, leaving.other):
        assert browser.silent(party).values["error"] == "login_required"


@pytest.mark.demand(87)
@pytest.mark.parametrize("parameters", [{}, {"state": "s"}, {"ui_locales": "en"}, {"unknown": "x"}], ids=str)
def test_without_a_hint_the_person_is_asked_and_can_stay_or_go(
    browser: Browser, hint: str, parameters: dict[str, Parameter]
) -> None:
    question = _end(browser, **parameters)
    assert _asks(question)
    assert _is_signed_in(browser)
    stays = _answer(browser, question, "stay")
    assert not was_sent(stays)
    assert _is_signed_in(browser)
    gone = _answer(browser, _end(browser, **parameters), "logout")
    assert gone.status_code == 303
    assert not was_sent(gone)
    assert not _is_signed_in(browser)


def test_hint_of_another_session_asks_and_then_goes_back_to_the_client(
    provider: Provider, party: RelyingParty, browser: Browser, hint: str, who: Somebody
) -> None:
    other = provider.browser()
    other.sign_in(party, who)
    question = _end(other, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT, state="s")
    assert _asks(question)
    answer = Answer.read(_answer(other, question, "logout"))
    assert (answer.address, answer.values) == (SIGNED_OUT, {"state": "s"})
    assert not _is_signed_in(other)
    assert _is_signed_in(browser)


def test_nobody_signed_in_is_no_error(provider: Provider, party: RelyingParty, browser: Browser, hint: str) -> None:
    stranger = provider.browser()
    assert _end(stranger).status_code == 200
    answer = Answer.read(_end(stranger, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT))
    assert answer.address == SIGNED_OUT
    assert _is_signed_in(browser)


def test_post_is_led_to_our_own_get_with_the_same_parameters(browser: Browser, hint: str) -> None:
    request = {"id_token_hint": hint, "post_logout_redirect_uri": SIGNED_OUT, "state": "a#b \u2603"}
    posted = browser.post("/end_session", form_encoded(request), {"Sec-Fetch-Site": "cross-site"})
    assert posted.status_code == 303
    assert posted.headers["Location"].startswith("/end_session?")
    assert _is_signed_in(browser)
    answer = Answer.read(browser.get(posted.headers["Location"]))
    assert (answer.address, answer.values) == (SIGNED_OUT, {"state": "a#b \u2603"})


UNREADABLE = [b"\xff\xfe", b"state=%ff", b"%ff", b"a=b&" * 500, b"state=" + b"x" * 40_000]


@pytest.mark.parametrize("content", UNREADABLE, ids=range(5))
def test_unreadable_request_asks_and_signs_out_and_leads_nowhere(browser: Browser, hint: str, content: bytes) -> None:
    right = form_encoded({"id_token_hint": hint, "post_logout_redirect_uri": SIGNED_OUT}).encode() + b"&"
    question = browser.get("/end_session", query=right + content)
    assert _asks(question)
    assert _is_signed_in(browser)
    gone = _answer(browser, question, "logout")
    assert gone.status_code in (200, 303) and not was_sent(gone)
    assert not _is_signed_in(browser)


@pytest.mark.parametrize("content", UNREADABLE, ids=range(5))
def test_unreadable_form_is_led_to_the_question(browser: Browser, hint: str, content: bytes) -> None:
    posted = browser.post("/end_session", content)
    assert posted.status_code == 303
    assert _asks(browser.get(posted.headers["Location"]))


def test_bare_client_id_leads_who_is_not_signed_in_to_that_clients_own_address_and_nowhere_else(
    provider: Provider, party: RelyingParty
) -> None:
    """Nothing ends by it, and the address is one that the client registered itself: no more than a link to it."""
    other = provider.client(post_logout_redirect_uris=["https://other.example/signed-out"])
    stranger = provider.browser()
    own = _end(stranger, client_id=party.client_id, post_logout_redirect_uri=SIGNED_OUT, state="s")
    assert Answer.read(own).address == SIGNED_OUT
    for uri in ("https://other.example/signed-out", SIGNED_OUT + "/", "https://evil.example/"):
        assert not was_sent(_end(stranger, client_id=party.client_id, post_logout_redirect_uri=uri)), uri
    assert not was_sent(_end(stranger, client_id=other.client_id, post_logout_redirect_uri=SIGNED_OUT))
    assert not was_sent(_end(stranger, post_logout_redirect_uri=SIGNED_OUT))


def test_body_cannot_reach_into_the_headers(provider: Provider) -> None:
    posted = provider.post("/end_session", b"state=a\r\nSet-Cookie: stolen=1")
    assert posted.status_code == 303
    assert "Set-Cookie" not in posted.headers
    assert "\n" not in posted.headers["Location"]


def test_answer_to_the_question_needs_the_token_of_the_page(browser: Browser, hint: str) -> None:
    for token in ("", "wrong", "\x00"):
        assert browser.post("/end_session/confirm", {"csrf_token": token, "decision": "logout"}).status_code == 403
    assert browser.post("/end_session/confirm", {"decision": "logout"}).status_code == 403
    assert _is_signed_in(browser)
