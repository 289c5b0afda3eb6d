"""A46: input that is large, deep or many. Refused before any work is done, and never by an error of our own."""

import json
from urllib.parse import urlencode

from idp.audit.events import PasswordChecked
from tests.attacks.world import FORM, Browser, Page, World, basic, parameters

MEGABYTE = 2**20
# Far more than any of this takes on a busy machine, far less than what it is there to prevent.


def test_a46_a_password_of_a_megabyte_is_refused_before_it_is_hashed_or_counted(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    browser = world.browser()
    page = browser.begin(client)
    hashes = world.services.passwords.hash_calls
    for size in (MEGABYTE, 130 * 1024):
        assert browser.press(page, **{**anna.names, "password": "x" * size}).status == 413
    assert world.services.passwords.hash_calls == hashes and not world.events(PasswordChecked)
    assert browser.submit(page, **anna.names).code, "and nothing was counted"


def test_a46_a_million_parameters_are_refused_everywhere(world: World) -> None:
    client = world.make.client()
    browser = world.browser()
    page = browser.begin(client)
    for many in (b"a=1&" * 1_000_000, b"&" * 2_000_000, b"a&" * 30_000, b"&".join(b"%d=" % n for n in range(15_000))):
        statuses = {address: post(browser, address, many).status for address in addresses(page)}
        # Whoever wants to log out can, with nothing of what was sent: led to a GET without any of it.
        left = statuses.pop("/end_session")
        assert left in (303, 413)
        assert all(status in (400, 401, 403, 413) for status in statuses.values()), statuses
    for query in ("a=1&" * 20_000, "&" * 90_000, "&".join(f"{n}=" for n in range(9000))):
        assert browser.get(f"/authorize?{query}").status == 400
        assert browser.get(f"/end_session?{query}").status == 200
    assert browser.begin(client).prompt == "identify"


def addresses(page: Page) -> tuple[str, ...]:
    return ("/authorize", "/token", "/userinfo", "/end_session", "/end_session/confirm", page.action)


def post(browser: Browser, address: str, body: bytes, content_type: str = FORM) -> Page:
    return browser.send("POST", address, headers={"Content-Type": content_type}, body=body)


def test_a46_a_body_of_a_megabyte_is_refused_everywhere(world: World) -> None:
    client = world.make.client()
    browser = world.browser()
    page = browser.begin(client)
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
    for content_type, body in {
        FORM: b"a=" + b"x" * MEGABYTE,
        "multipart/form-data; boundary=x": part * 20_000 + b"--x--",
        "multipart/form-data; boundary=y": b"x" * MEGABYTE,
        "application/json": b"[" * MEGABYTE,
        "text/plain": b"\x00" * MEGABYTE,
    }.items():
        for address in addresses(page):
            answered = post(browser, address, body, content_type)
            assert answered.status in (400, 401, 403, 413), (address, content_type, answered.status)
    few = post(browser, page.action, part * 2000 + b"--x--", "multipart/form-data; boundary=x")
    assert few.status in (400, 403, 413)


def test_a46_json_that_is_deep_or_odd_is_refused_or_kept_as_it_is(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    nested = [f'{{"id_token":{{"acr":{"[" * depth}{"]" * depth}}}}}' for depth in (10, 500, 900, 960, 990, 1500, 3900)]
    objects = ['{"id_token":{"acr":' + '{"a":' * depth + "1" + "}" * depth + "}}" for depth in (10, 500, 900, 960, 990)]
    odd = [
        "[" * 7900,
        "{" * 7900,
        '{"id_token":' * 500,
        '{"id_token": {"auth_time": {"value": NaN}}}',
        '{"id_token": {"auth_time": {"value": Infinity}}}',
        '{"id_token": {"auth_time": {"value": 1e999}}}',
        '{"id_token": {"acr": {"value": "\\u0000"}}}',
        '{"id_token": {"acr": {"value": "\\ud800"}}}',
        '{"id_token": {"acr": {"values": ["\\udfff", 1, null, {}, []]}}}',
        '{"id_token": {"name\\u0000": null, "\\ud800": null, "": null}}',
        '{"userinfo": {"name": {"value": ' + "9" * 4000 + "}}}",
        '{"userinfo": {"name": {"value": ' + "9" * 7000 + "}}}",
        '{"userinfo": {"name": {"essential": "\\ud83d"}}}',
        '{"id_token": {"acr": {"essential": true, "values": ' + json.dumps(["x"] * 1500) + "}}}",
        '{"id_token": {}, "id_token": {"acr": null}}',
        "\ufeff{}",
        '""',
        "null",
        "1e5",
        "true",
    ]
    browser = world.browser()
    for claims in (*nested, *objects, *odd):
        asked = browser.authorize(client, claims=claims)
        assert asked.status == 303, claims[:80]
        if "error" in asked.answer:
            assert asked.answer["error"] == "invalid_request", claims[:80]
        else:
            assert browser.follow(asked).prompt == "identify", claims[:80]
    kept = '{"id_token": {"acr": {"values": ["\\ud800", "\\u0000"]}}, "userinfo": {"name": null}}'
    page = browser.begin(client, claims=kept)
    code = browser.submit(page, **anna.names).code
    tokens = world.redeem(client, code)
    assert tokens.status == 200 and world.userinfo(tokens.body["access_token"]) == 200


def test_a46_a_huge_token_is_refused_wherever_one_is_taken(world: World) -> None:
    client = world.make.client()
    browser = world.browser()
    for token in ("x" * 30_000, "." * 30_000, "e30." * 7000, "a.b." + "c" * 30_000, "e30." + "A" * 30_000 + "."):
        asked = browser.authorize(client, id_token_hint=token)
        assert asked.status == 400 or asked.answer["error"] == "invalid_request"
        assert browser.get("/end_session?" + urlencode({"id_token_hint": token})).status == 200
        assert browser.get("/userinfo", Authorization=f"Bearer {token}").status == 401
        assert browser.post("/userinfo", {"access_token": token}).status in (400, 401)
        for name, grant_type in {"refresh_token": "refresh_token", "code": "authorization_code"}.items():
            grant = {"grant_type": grant_type, name: token}
            assert browser.post("/token", grant, Authorization=basic("atosi", client.secret or "")).status == 400
        assert browser.post("/token", {"grant_type": token}, Authorization=f"Basic {token}").status in (400, 401)


def test_a46_cookies_and_headers_of_any_size_and_form_are_only_not_known(world: World) -> None:
    client = world.make.client()
    page = world.browser().begin(client)
    odd = ("x" * 60_000, "=;=;" * 5000, '"\\000\\377"', "\x7f\x80\xff", "a" * 43 + "\u00ff", '"', "é")
    for value in odd:
        browser = world.browser()
        for name in ("session", "browser", "org"):
            browser.cookies = {f"__Host-idp_{name}": value}
            for address in (f"/authorize?{urlencode(parameters(client))}", page.url, "/end_session", "/"):
                assert browser.get(address).status in (200, 303, 400), (ascii(value[:20]), name, address)
        for name in ("Sec-Fetch-Dest", "Accept-Language", "X-Forwarded-For", "User-Agent", "Origin"):
            assert world.browser(**{name: value}).authorize(client).status == 303, (name, ascii(value[:20]))


def test_a46_odd_addresses_and_methods_are_not_found_and_never_an_error_of_ours(world: World) -> None:
    client = world.make.client()
    page = world.browser().begin(client)
    odd = ("%00", "%ff", "x" * 5000, "..%2f..%2f", "%0d%0aA:%20b", "{{7*7}}", "'--", "%F0%9F%98%80", "-" * 22)
    for part in odd:
        of_nobody = (f"/s/{part}/{place}" for place in ("identify", "restart", "leave"))
        for address in (*of_nobody, f"/s/{page.interaction_id}/{part}"):
            for method in ("GET", "POST"):
                for cookies in ({}, {"__Host-idp_browser": "x" * 43}):
                    browser = Browser(world.app, dict(cookies))
                    answered = browser.send(method, address, {} if method == "POST" else None)
                    assert answered.status < 500, (method, address, answered.status)
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "HEAD", "BREW"):
        for address in ("/authorize", "/token", "/userinfo", page.url, "/end_session"):
            assert world.browser().send(method, address).status < 500, (method, address)
    for body in (b"\x00", b"\xff", b"a=%ff", b"a=%", b"client_id=%00&x", b"\r\nA: b", b"=", b"a=b\r\nSet-Cookie: c=d"):
        for address in ("/authorize", "/end_session", "/token", "/userinfo"):
            answered = post(world.browser(), address, body)
            assert answered.status < 500, (address, body)
            assert "Set-Cookie" not in dict(answered.headers), (address, body)
