"""RP-initiated logout: what somebody meets, where they end, and whether they are still signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlencode

from tests.client_assertions import claims_of
from tests.interop.differential.clients import ALG, KEY, SIGNED_OUT
from tests.interop.differential.normal_form import Answer, arrived
from tests.interop.differential.question import Question
from tests.interop.differential.site import STATE, Site, SiteBrowser, jwt
from tests.relying_party import Page

Changes = Mapping[str, str | None]
# HINT stands for an ID token of the session.
HINT, OTHERS, FORGED = "the hint", "the hint of another client", "a forged hint"
RIGHT: Changes = {"id_token_hint": HINT, "post_logout_redirect_uri": SIGNED_OUT, "state": STATE}
REQUESTS: Mapping[str, Changes] = {
    "right": RIGHT,
    "without-state": {**RIGHT, "state": None},
    "hint-alone": {"id_token_hint": HINT},
    "nothing": {},
    "state-alone": {"state": STATE},
    "redirect-alone": {"post_logout_redirect_uri": SIGNED_OUT},
    "redirect-of-nobody": {**RIGHT, "post_logout_redirect_uri": "https://evil.example/"},
    "redirect-with-a-query": {**RIGHT, "post_logout_redirect_uri": f"{SIGNED_OUT}?x=1"},
    "redirect-is-a-callback": {**RIGHT, "post_logout_redirect_uri": "https://app.example/callback"},
    "client-and-redirect": {"client_id": "basic", "post_logout_redirect_uri": SIGNED_OUT, "state": STATE},
    "client-alone": {"client_id": "basic"},
    "client-unknown": {"client_id": "nobody", "post_logout_redirect_uri": SIGNED_OUT},
    "client-and-hint": {**RIGHT, "client_id": "basic"},
    "client-is-not-that-of-the-hint": {**RIGHT, "client_id": "other"},
    "hint-nonsense": {**RIGHT, "id_token_hint": "nonsense"},
    "hint-forged": {**RIGHT, "id_token_hint": FORGED},
    "hint-of-another-client": {**RIGHT, "id_token_hint": OTHERS},
    "locales": {**RIGHT, "ui_locales": "nl se"},
    "logout-hint": {**RIGHT, "logout_hint": "somebody"},
    "unknown-parameter": {**RIGHT, "extra": "foobar"},
}


def questions() -> Iterator[Question]:
    for name, changes in REQUESTS.items():
        yield Question(f"logout/{name}", _met(changes))
        yield Question(f"logout/{name}-to-the-end", _to_the_end(changes))
    for name in ("right", "nothing", "redirect-of-nobody", "client-and-redirect", "hint-forged"):
        yield Question(f"logout/{name}-with-nobody-there", _with_nobody_there(REQUESTS[name]))
    yield Question("logout/by-post", _by_post)
    yield Question("logout/repeated-state", _repeated)
    yield Question("logout/then-silently-back", _then_silently_back)
    yield Question("logout/twice", _twice)
    for method in ("PUT", "DELETE"):
        yield Question(f"logout/method-{method.lower()}", _by_method(method))


def _filled(site: Site, browser: SiteBrowser, changes: Changes) -> dict[str, str]:
    """The parameters, after somebody signed in."""
    tokens = site.tokens("basic", browser=browser)
    forged = jwt(claims_of("basic", "basic", site.now(), iss=site.issuer), KEY, ALG, {})
    hints = {HINT: lambda: tokens["id_token"], FORGED: lambda: forged}
    hints[OTHERS] = lambda: site.tokens("other", browser=browser)["id_token"]
    filled = {name: value for name, value in changes.items() if value is not None}
    return {name: str(hints[value]()) if value in hints else value for name, value in filled.items()}


def _address(site: Site, parameters: Mapping[str, str]) -> str:
    return f"{site.address('end_session')}?{urlencode(parameters)}"


def _confirmed(page: Page) -> Page:
    return page.submit(button="logout-confirm") if not page.has_left and page.has("logout-confirm") else page


def _met(changes: Changes) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        browser = site.browser()
        return arrived(browser.open(_address(site, _filled(site, browser, changes))), site.issuer)

    return ask


def _to_the_end(changes: Changes) -> Callable[[Site], Answer]:
    """Where somebody ends who says yes, and whether they are signed in afterwards."""

    def ask(site: Site) -> Answer:
        browser = site.browser()
        end = _confirmed(browser.open(_address(site, _filled(site, browser, changes))))
        back = browser.open(site.authorization_url(site.parameters("basic", {"prompt": "none"})))
        return {**arrived(end, site.issuer), "signed in": "code" in back.departure.parameters}

    return ask


def _with_nobody_there(changes: Changes) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        filled = _filled(site, site.browser(), changes)
        return arrived(site.browser().open(_address(site, filled)), site.issuer)

    return ask


def _by_post(site: Site) -> Answer:
    browser = site.browser()
    return arrived(_confirmed(browser.post(site.address("end_session"), _filled(site, browser, RIGHT))), site.issuer)


def _repeated(site: Site) -> Answer:
    browser = site.browser()
    pairs = [*_filled(site, browser, RIGHT).items(), ("state", "x")]
    return arrived(browser.open(f"{site.address('end_session')}?{urlencode(pairs)}"), site.issuer)


def _then_silently_back(site: Site) -> Answer:
    browser = site.browser()
    _confirmed(browser.open(_address(site, _filled(site, browser, RIGHT))))
    return arrived(browser.open(site.authorization_url(site.parameters("basic", {"prompt": "none"}))), site.issuer)


def _twice(site: Site) -> Answer:
    browser = site.browser()
    address = _address(site, _filled(site, browser, RIGHT))
    _confirmed(browser.open(address))
    return arrived(browser.open(address), site.issuer)


def _by_method(method: str) -> Callable[[Site], Answer]:
    return lambda site: {"status": site.send(method, "end_session").status_code}
