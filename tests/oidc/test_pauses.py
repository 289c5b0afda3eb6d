"""Addresses that did not answer rest, and strangers hold no thread for them again and again (A65)."""

from datetime import timedelta

from idp.egress.pauses import MOST_KEPT, Pauses
from tests.egress.receivers import Receiver, sends, status
from tests.oidc.journeys import Provider
from tests.oidc.signing import public_keys, signed

SECOND = timedelta(seconds=1)
A, B = "https://a.example/", "https://b.example/"


class Ticks:
    now = timedelta(0)

    def __call__(self) -> timedelta:
        return self.now


def test_address_rests_twice_as_long_each_time_until_it_answers() -> None:
    ticks = Ticks()
    pauses = Pauses(ticks)
    for seconds in (10, 20, 40, 80, 120, 120):
        pauses.failed(A)
        ticks.now += seconds * SECOND - timedelta(microseconds=1)
        assert pauses.rests(A) and not pauses.rests(B)
        ticks.now += timedelta(microseconds=1)
        assert not pauses.rests(A)
    pauses.answered(A)
    pauses.failed(A)
    ticks.now += 10 * SECOND
    assert not pauses.rests(A)


def test_only_so_many_addresses_are_remembered() -> None:
    pauses = Pauses(Ticks())
    for number in range(MOST_KEPT + 1):
        pauses.failed(f"https://{number}.example/")
    assert not pauses.rests("https://0.example/") and pauses.rests(f"https://{MOST_KEPT}.example/")


def test_request_object_that_could_not_be_fetched_is_not_asked_for_at_each_visit(provider: Provider) -> None:
    with Receiver(sends(b"")) as shelf:
        party = provider.client(jwks=public_keys("ES256"), request_uris=[shelf.url, shelf.url + "/other"])
        browser = provider.browser()
        for _ in range(3):
            assert browser.authorize(party, request_uri=shelf.url).status_code in (303, 400)
        assert len(shelf.calls) == 1
        token = signed({**party.request(), "iss": party.client_id, "aud": provider.issuer})
        shelf.behaviour = status(200, token.encode(), **{"Content-Type": "application/jwt"})
        answer = browser.authorize(party, request_uri=shelf.url + "/other")
        assert answer.headers["Location"].startswith("/s/"), "others are asked"
