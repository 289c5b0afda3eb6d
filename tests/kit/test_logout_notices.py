"""Where the provider says that a session ended: what is believed, once, and what is not."""

from __future__ import annotations

import json
import sqlite3
from base64 import urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Response, session
from flask.testing import FlaskClient
from joserfc import jwt
from werkzeug.test import TestResponse

from idp.kernel.clock import FixedClock
from idp_kit import SessionKit, SqliteStore
from tests.canary import is_no_secret
from tests.demo.hostile_provider import Claims, HostileProvider, Key
from tests.kit.conftest import MakeKit, come_back, is_signed_in, signed_in

EVENT = "http://schemas.openid.net/event/backchannel-logout"
PATH = "/session/backchannel-logout"
Change = Callable[[Claims], None]


def notify(kit: SessionKit, *tokens: str, **options: Any) -> TestResponse:
    """The answer to a notice, which is never kept by anybody and sets no cookie."""
    body = urlencode([("logout_token", token) for token in tokens])
    sent = {"data": body, "content_type": "application/x-www-form-urlencoded"} | options
    answer = kit.app.test_client().post(PATH, **sent)
    assert answer.headers["Cache-Control"] == "no-store" and "Set-Cookie" not in answer.headers
    assert answer.is_json
    return answer


def setting(**claims: Any) -> Change:
    return lambda sent: sent.update(claims)


def removing(*names: str) -> Change:
    def remove(sent: Claims) -> None:
        for name in names:
            del sent[name]

    return remove


def moving(seconds: int, *names: str) -> Change:
    return lambda sent: sent.update({name: sent[name] + seconds for name in names})


def both(*changes: Change) -> Change:
    def change(sent: Claims) -> None:
        for each in changes:
            each(sent)

    return change


# What is believed


def test_notice_of_the_session_signs_out_here_and_says_why(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider
) -> None:
    other = signed_in(kit)
    assert is_signed_in(browser) and is_signed_in(other)
    answer = notify(kit, provider.logout_token())
    assert (answer.status_code, answer.json) == (200, {})
    assert not is_signed_in(browser) and not is_signed_in(other)
    assert browser.get("/signed-out").text == "uit: elsewhere"


@pytest.mark.parametrize(
    "change",
    [
        setting(),
        removing("sub"),
        removing("sid"),
        setting(aud=["atosi"]),
        moving(-500, "iat"),
        moving(59, "iat", "exp"),
    ],
    ids=["both", "sid alone", "sub alone", "aud as a list", "old but alive", "a clock ahead"],
)
def test_notice_in_any_form_that_the_specification_allows_ends_the_session(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, change: Change
) -> None:
    assert notify(kit, provider.logout_token(change)).status_code == 200
    assert not is_signed_in(browser)


def test_notice_of_somebody_else_ends_nothing_here_and_is_well(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider
) -> None:
    assert notify(kit, provider.logout_token(setting(sid="session-2", sub="bram-2"))).status_code == 200
    assert notify(kit, provider.logout_token(both(removing("sid"), setting(sub="bram-2")))).status_code == 200
    assert is_signed_in(browser)


def test_notice_about_a_subject_leaves_a_login_of_afterwards_alone(
    kit: SessionKit, provider: HostileProvider, clock: FixedClock
) -> None:
    token = provider.logout_token(removing("sid"))
    clock.move(timedelta(seconds=2))
    browser = signed_in(kit)
    assert notify(kit, token).status_code == 200
    assert is_signed_in(browser)


@pytest.mark.parametrize("change", [setting(), removing("sid")], ids=["sid", "sub"])
def test_notice_that_overtakes_the_login_keeps_it_from_starting(
    kit: SessionKit, provider: HostileProvider, change: Change
) -> None:
    assert notify(kit, provider.logout_token(change)).status_code == 200
    assert come_back(kit.app.test_client()) is None


def test_session_that_a_request_carries_while_it_ends_does_not_come_back(
    kit: SessionKit, provider: HostileProvider
) -> None:
    @kit.app.get("/slow")
    def slow() -> str:
        session["basket"] = "full"
        notify(kit, provider.logout_token())
        return "done"

    browser = signed_in(kit)
    assert browser.get("/slow").text == "done"
    assert not is_signed_in(browser)


# What is not


def test_same_notice_again_is_refused_as_long_as_it_could_live(
    make_kit: MakeKit, kit: SessionKit, provider: HostileProvider, clock: FixedClock
) -> None:
    token = provider.logout_token(setting(sid="session-2"))
    assert notify(kit, token).status_code == 200
    elsewhere = make_kit(kit.store)
    for _ in range(5):
        assert notify(kit, token).status_code == 400
        assert notify(elsewhere, token).status_code == 400, "a second process with the same store"
        clock.move(timedelta(seconds=59))
        signed_in(kit)  # new sessions sweep what is past


def test_notice_that_is_refused_does_not_use_up_its_jti(kit: SessionKit, provider: HostileProvider) -> None:
    forged = provider.logout_token(setting(jti="one", aud="rapportages"))
    assert notify(kit, forged).status_code == 400
    assert notify(kit, provider.logout_token(setting(jti="one"))).status_code == 200


FORGERIES: dict[str, Change] = {
    "iss of another provider": setting(iss="http://127.0.0.1:1"),
    "iss missing": removing("iss"),
    "aud of another client": setting(aud="rapportages"),
    "aud with somebody else beside us": setting(aud=["atosi", "rapportages"]),
    "aud missing": removing("aud"),
    "iat in the future and nonce present": both(moving(61, "iat", "exp"), setting(nonce="n")),
    "iat in the future and aud of another client": both(moving(61, "iat", "exp"), setting(aud="rapportages")),
    "iat in the future and exp before it": moving(300, "iat"),
    "iat beyond all years": setting(iat=1e300),
    "iat of long ago": moving(-601, "iat"),
    "iat missing": removing("iat"),
    "iat as text": setting(iat="now"),
    "exp passed": moving(-181, "exp"),
    "exp missing": removing("exp"),
    "events missing": removing("events"),
    "events of something else": setting(events={"http://schemas.openid.net/event/other": {}}),
    "events as a list": setting(events=[EVENT]),
    "event that is no object": setting(events={EVENT: True}),
    "nonce present": setting(nonce="n"),
    "nonce present and null": setting(nonce=None),
    "neither sid nor sub": removing("sid", "sub"),
    "sid empty": setting(sid=""),
    "sid a number": setting(sid=7),
    "sid a list": setting(sid=["session-1"]),
    "sub empty": setting(sub=""),
    "sub too long": setting(sub="a" * 256),
    "jti missing": removing("jti"),
    "jti empty": setting(jti=""),
    "jti a number": setting(jti=1),
    "jti too long": setting(jti="a" * 256),
}


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES.keys())
def test_signed_token_with_a_wrong_claim_ends_nothing(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, change: Change
) -> None:
    answer = notify(kit, provider.logout_token(change))
    assert answer.status_code == 400 and answer.json["error"] == "invalid_request"  # type: ignore[index]
    assert is_signed_in(browser)


def test_notice_from_the_future_with_which_nothing_else_is_wrong_is_to_be_tried_again(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    token = provider.logout_token(moving(61, "iat", "exp"))
    answer = notify(kit, token)
    assert answer.status_code == 503 and answer.json["error"] == "temporarily_unavailable"  # type: ignore[index]
    assert is_signed_in(browser)
    clock.move(timedelta(seconds=1))  # our clock was behind
    assert notify(kit, token).status_code == 200, "its jti was not used up"
    assert not is_signed_in(browser)


def encoded(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(token: str) -> str:
    return f"{encoded({'alg': 'none', 'typ': 'logout+jwt'})}.{token.split('.')[1]}."


def other_session(token: str) -> str:
    header, payload, signature = token.split(".")
    return f"{header}.{encoded({'sid': 'session-1'})}.{signature}"


BROKEN: dict[str, Callable[[str], str]] = {
    "alg none": unsigned,
    "claims changed after signing": other_session,
    "signature removed": lambda token: token.rpartition(".")[0] + ".",
    "two parts": lambda token: token.rpartition(".")[0],
    "not a token": lambda token: "hello",
    "empty": lambda token: "",
    "huge": lambda token: "A" * 1_000_000,
    "not ascii": lambda token: "é.é.é",
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
def test_token_changed_after_signing_ends_nothing(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, change: Callable[[str], str]
) -> None:
    assert notify(kit, change(provider.logout_token())).status_code == 400
    assert is_signed_in(browser)


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "id+jwt", "", None], ids=str)
def test_token_of_another_kind_ends_nothing(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, typ: str | None
) -> None:
    header = {"alg": "RS256", "kid": "first"} | ({} if typ is None else {"typ": typ})
    claims = jwt.decode(provider.logout_token(), provider.signing_key).claims
    token = jwt.encode(header, claims, provider.signing_key)
    assert notify(kit, token).status_code == 400
    assert is_signed_in(browser)


def test_id_token_is_no_logout_token_and_a_logout_token_no_id_token(kit: SessionKit, provider: HostileProvider) -> None:
    sent: list[str] = []
    provider.change_id_token = lambda id_token: sent.append(id_token) or id_token  # type: ignore[func-returns-value]
    browser = signed_in(kit)
    assert notify(kit, sent[0]).status_code == 400 and is_signed_in(browser)
    provider.change_id_token = lambda id_token: provider.sign(
        jwt.decode(id_token, provider.signing_key).claims, {"typ": "logout+jwt"}
    )
    assert come_back(kit.app.test_client()) is None


def test_token_of_an_unpublished_key_with_a_published_name_ends_nothing(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, other_rsa_key: Key
) -> None:
    honest = provider.signing_key
    provider.signing_key = other_rsa_key
    token = provider.logout_token(kid=honest.kid)
    assert notify(kit, token).status_code == 400
    assert is_signed_in(browser)


@pytest.mark.parametrize(
    "options",
    [{"data": ""}, {"data": "token=x"}, {"content_type": "application/json"}, {"content_type": "text/plain"}],
    ids=["nothing", "another parameter", "json", "text"],
)
def test_request_that_is_no_form_with_a_token_is_refused(
    kit: SessionKit, provider: HostileProvider, options: dict[str, str]
) -> None:
    assert notify(kit, provider.logout_token(), **options).status_code == 400


def test_two_tokens_in_one_request_and_other_methods_are_refused(kit: SessionKit, provider: HostileProvider) -> None:
    assert notify(kit, provider.logout_token(), provider.logout_token()).status_code == 400
    assert kit.app.test_client().get(PATH).status_code == 405


# Keys


def test_key_that_was_rotated_is_read_again_but_not_at_every_notice(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock, other_rsa_key: Key
) -> None:
    provider.signing_key = other_rsa_key
    for _ in range(3):
        assert notify(kit, provider.logout_token()).status_code == 503, "read a moment ago: to be tried again"
    assert provider.calls["/jwks"] == 1
    clock.move(timedelta(seconds=10))
    assert notify(kit, provider.logout_token()).status_code == 400, "read again, and no such key"
    assert provider.calls["/jwks"] == 2 and is_signed_in(browser)
    provider.published.append(dict(other_rsa_key.as_dict(private=False)))
    clock.move(timedelta(seconds=10))
    assert notify(kit, provider.logout_token()).status_code == 200
    assert not is_signed_in(browser)


def test_notice_while_the_keys_cannot_be_read_is_to_be_tried_again(
    kit: SessionKit, provider: HostileProvider, clock: FixedClock
) -> None:
    provider.instead["/jwks"] = lambda: Response("no", 500)
    assert notify(kit, provider.logout_token()).status_code == 503
    del provider.instead["/jwks"]
    clock.move(timedelta(seconds=10))
    assert notify(kit, provider.logout_token()).status_code == 200


KEYS, DISCOVERY = "/jwks", "/.well-known/openid-configuration"


@pytest.mark.parametrize("path", [KEYS, DISCOVERY])
def test_provider_whose_keys_cannot_be_read_is_not_called_for_every_notice(
    kit: SessionKit, provider: HostileProvider, clock: FixedClock, path: str
) -> None:
    provider.instead[path] = lambda: Response("no", 500)
    for tried in range(1, 4):
        for _ in range(5):
            assert notify(kit, provider.logout_token()).status_code == 503, "not final: nothing was wrong with it"
        assert provider.calls[path] == tried
        clock.move(timedelta(seconds=10))


def test_provider_that_fails_when_keys_are_read_again_is_not_called_for_every_notice(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock, other_rsa_key: Key
) -> None:
    provider.instead[KEYS] = lambda: Response("no", 500)
    before, honest, rotated = provider.calls[KEYS], provider.logout_token(), other_rsa_key
    clock.move(timedelta(seconds=10))
    provider.signing_key = rotated
    for _ in range(5):
        assert notify(kit, provider.logout_token()).status_code == 503
    assert provider.calls[KEYS] == before + 1
    assert notify(kit, honest).status_code == 200, "what was read before still holds"


@pytest.mark.parametrize("keys", ["null", "[]", "{}", '{"keys": 1}', '{"keys": ["first"]}'])
def test_key_set_that_makes_no_sense_is_to_be_tried_again(
    kit: SessionKit, provider: HostileProvider, keys: str
) -> None:
    provider.instead[KEYS] = lambda: Response(keys, mimetype="application/json")
    assert notify(kit, provider.logout_token()).status_code == 503


def test_notices_at_the_same_time_read_the_keys_once(kit: SessionKit, provider: HostileProvider) -> None:
    tokens = [provider.logout_token() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda token: notify(kit, token).status_code, tokens))
    assert answers == [200] * 8 and provider.calls[KEYS] == 1


def test_keys_are_read_again_after_the_clock_was_set_back(
    kit: SessionKit, provider: HostileProvider, clock: FixedClock
) -> None:
    provider.instead[KEYS] = lambda: Response("no", 500)
    assert notify(kit, provider.logout_token()).status_code == 503
    clock.move(timedelta(hours=-1))
    del provider.instead[KEYS]
    assert notify(kit, provider.logout_token()).status_code == 200


SHAPELESS: dict[str, Callable[[str], str]] = BROKEN | {
    "alg of a shared secret": lambda token: f"{encoded({'alg': 'HS256', 'typ': 'logout+jwt', 'kid': 'first'})}.e30.AA",
    "without key": lambda token: f"{encoded({'alg': 'RS256', 'typ': 'logout+jwt'})}.e30.AA",
    "of another kind": lambda token: f"{encoded({'alg': 'RS256', 'typ': 'JWT', 'kid': 'first'})}.e30.AA",
    "of no kind": lambda token: f"{encoded({'alg': 'RS256', 'kid': 'first'})}.e30.AA",
    "header deeply nested": lambda token: f"{urlsafe_b64encode(b'[' * 9000).decode()}.e30.AA",
}
del SHAPELESS["claims changed after signing"], SHAPELESS["signature removed"]


@pytest.mark.parametrize("change", SHAPELESS.values(), ids=SHAPELESS.keys())
def test_what_can_be_no_logout_token_makes_nobody_call_the_provider(
    kit: SessionKit, provider: HostileProvider, change: Callable[[str], str]
) -> None:
    assert notify(kit, change(provider.logout_token())).status_code == 400
    assert notify(kit, provider.logout_token(), content_type="application/json").status_code == 400
    assert not provider.calls


# The front channel


def test_front_channel_is_off_unless_it_is_asked_for(kit: SessionKit) -> None:
    assert kit.app.test_client().get("/session/frontchannel-logout").status_code == 404


def test_front_channel_ends_the_session_that_both_parameters_name(make_kit: MakeKit, provider: HostileProvider) -> None:
    kit = make_kit(front_channel_logout=True)
    browser, frame = signed_in(kit), kit.app.test_client()
    path, right = "/session/frontchannel-logout", {"iss": provider.issuer, "sid": "session-1"}
    is_no_secret("session-1")
    for wrong in (
        {},
        {"sid": "session-1"},
        {"iss": provider.issuer},
        right | {"iss": "http://127.0.0.1:1"},
        right | {"iss": f"{provider.issuer}/"},
        right | {"sid": ["session-1", "session-2"]},
        right | {"sid": ""},
    ):
        assert frame.get(path, query_string=wrong).status_code == 400
    assert is_signed_in(browser)
    answer = frame.get(path, query_string=right)
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    assert f"frame-ancestors {provider.issuer}" in answer.headers["Content-Security-Policy"]
    assert not is_signed_in(browser)


def test_front_channel_remembers_nothing_of_sessions_that_nobody_has(
    make_kit: MakeKit, provider: HostileProvider, tmp_path: Path
) -> None:
    kit = make_kit(SqliteStore(tmp_path / "sessions.db"), front_channel_logout=True)
    frame = kit.app.test_client()
    for invented in range(20):
        asked = {"iss": provider.issuer, "sid": f"invented-{invented}"}
        assert frame.get("/session/frontchannel-logout", query_string=asked).status_code == 200
    with closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
        assert connection.execute("SELECT count(*) FROM over").fetchone() == (0,)
    browser = signed_in(kit)
    assert is_signed_in(browser)
