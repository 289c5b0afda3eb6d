"""How clients say who they are, right and wrong, at each endpoint that asks for it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from joserfc.jwk import ECKey, OctKey

from tests.client_assertions import claims_of, in_body
from tests.interop.differential.clients import ALG, CALLBACK, KEY
from tests.interop.differential.normal_form import Answer, answered
from tests.interop.differential.question import Question
from tests.interop.differential.site import NOBODY, Authentication, Site, jwt

# With the right client each of these is answered with what is wrong with the rest, or with nothing that is wrong.
FORMS: Mapping[str, Mapping[str, str]] = {
    "token": {"grant_type": "authorization_code", "code": "nothing", "redirect_uri": CALLBACK},
    "introspection": {"token": "nothing"},
    "revocation": {"token": "nothing"},
    "pushed_authorization_request": {"response_type": "magic", "redirect_uri": CALLBACK},
}
SHORT = {"pushed_authorization_request": "par"}
SAYS = Callable[[Site], Authentication]


def header(value: str) -> SAYS:
    return lambda site: Authentication({"Authorization": value}, {})


def basic(credentials: bytes) -> SAYS:
    return header(f"Basic {b64encode(credentials).decode()}")


def form(**values: str) -> SAYS:
    return lambda site: Authentication({}, values)


def assertion(client_id: str, head: Mapping[str, Any] | None = None, **changes: Any) -> SAYS:
    return lambda site: Authentication({}, in_body(site.assertion(client_id, head, **changes)))


def _both_ways(site: Site) -> Authentication:
    by_header, in_form = site.basic("basic", site.secret("basic")), {"client_secret": site.secret("basic")}
    return Authentication(by_header.headers, {"client_id": "basic", **in_form})


def _header_and_assertion(site: Site) -> Authentication:
    return Authentication(site.basic("basic", site.secret("basic")).headers, site.authentication("signing").form)


def _lower_case(site: Site) -> Authentication:
    said = site.basic("basic", site.secret("basic")).headers["Authorization"]
    return Authentication({"Authorization": said.replace("Basic", "bAsIc")}, {})


def _two_clients(site: Site) -> Authentication:
    return Authentication(site.basic("basic", site.secret("basic")).headers, {"client_id": "other"})


def _same_client_twice(site: Site) -> Authentication:
    return Authentication(site.basic("basic", site.secret("basic")).headers, {"client_id": "basic"})


def _by_another_key(site: Site) -> Authentication:
    claims = claims_of("signing", site.issuer, site.now())
    return Authentication({}, in_body(jwt(claims, ECKey.generate_key("P-256"), ALG, {"kid": "signing"})))


def _by_another_secret(site: Site) -> Authentication:
    claims = claims_of("hmac", site.issuer, site.now())
    return Authentication({}, in_body(jwt(claims, OctKey.import_key("x" * 64), "HS256", {})))


def _by_hmac_of_a_client_with_a_key(site: Site) -> Authentication:
    claims = claims_of("signing", site.issuer, site.now())
    return Authentication({}, in_body(jwt(claims, OctKey.import_key("x" * 64), "HS256", {})))


def _unsigned(site: Site) -> Authentication:
    claims = claims_of("signing", site.issuer, site.now())
    return Authentication({}, in_body(jwt(claims, KEY, ALG, {"alg": "none"})))


def _for_the_endpoint(endpoint: str) -> SAYS:
    return lambda site: Authentication({}, in_body(site.assertion("signing", aud=site.address(endpoint))))


def _for_both(site: Site) -> Authentication:
    both = [site.issuer, "https://other.example"]
    return Authentication({}, in_body(site.assertion("signing", aud=both)))


def _times(**later: int) -> SAYS:
    def says(site: Site) -> Authentication:
        moments = {name: site.seconds(seconds) for name, seconds in later.items()}
        return Authentication({}, in_body(site.assertion("signing", **moments)))

    return says


def _assertion_without(name: str) -> SAYS:
    def says(site: Site) -> Authentication:
        form = in_body(site.assertion("signing"))
        del form[name]
        return Authentication({}, form)

    return says


def _assertion_and(**more: str) -> SAYS:
    return lambda site: Authentication({}, {**in_body(site.assertion("signing")), **more})


SAID: Mapping[str, SAYS] = {
    "nobody": lambda site: NOBODY,
    "basic": lambda site: site.authentication("basic"),
    "basic-lower-case": _lower_case,
    "basic-and-the-same-client": _same_client_twice,
    "basic-and-another-client": _two_clients,
    "basic-wrong-secret": lambda site: site.basic("basic", "wrong"),
    "basic-secret-of-another": lambda site: site.basic("basic", site.secret("other")),
    "basic-empty-secret": lambda site: site.basic("basic", ""),
    "basic-unknown-client": lambda site: site.basic("nobody", "wrong"),
    "basic-empty-client": lambda site: site.basic("", "wrong"),
    "basic-of-a-post-client": lambda site: site.basic("post", site.secret("post")),
    "basic-of-a-public-client": lambda site: site.basic("public", "x"),
    "basic-of-a-signing-client": lambda site: site.basic("signing", "x"),
    "basic-without-colon": basic(b"basic"),
    "basic-no-utf-8": basic(b"\xff\xfe:\xff"),
    "basic-bad-escape": basic(b"basic:%zz"),
    "basic-control": basic(b"basic:\x00"),
    "basic-no-base64": header("Basic !!!!"),
    "basic-nothing": header("Basic"),
    "bearer": header("Bearer abc"),
    "digest": header('Digest username="basic"'),
    "post": lambda site: site.authentication("post"),
    "post-wrong-secret": form(client_id="post", client_secret="wrong"),
    "post-without-client": form(client_secret="wrong"),
    "post-of-a-basic-client": lambda site: Authentication(
        {}, {"client_id": "basic", "client_secret": site.secret("basic")}
    ),
    "post-of-a-public-client": form(client_id="public", client_secret="x"),
    "none": lambda site: site.authentication("public"),
    "none-of-a-confidential-client": form(client_id="basic"),
    "none-of-nobody": form(client_id="nobody"),
    "none-empty": form(client_id=""),
    "none-odd": form(client_id="a\x00b"),
    "two-methods": _both_ways,
    "two-methods-of-two-clients": _header_and_assertion,
    "hmac": lambda site: site.authentication("hmac"),
    "hmac-by-another-secret": _by_another_secret,
    "signed": lambda site: site.authentication("signing"),
    "signed-with-client-id": _assertion_and(client_id="signing"),
    "signed-with-another-client-id": _assertion_and(client_id="other"),
    "signed-with-a-secret-too": _assertion_and(client_secret="x"),
    "signed-by-another-key": _by_another_key,
    "signed-by-hmac": _by_hmac_of_a_client_with_a_key,
    "signed-by-nobody": _unsigned,
    "signed-nonsense": lambda site: Authentication({}, in_body("nonsense")),
    "signed-no-jwt": lambda site: Authentication({}, in_body("a.b.c")),
    "signed-without-type": _assertion_without("client_assertion_type"),
    "signed-without-assertion": _assertion_without("client_assertion"),
    "signed-of-another-type": lambda site: Authentication(
        {}, {**in_body(site.assertion("signing")), "client_assertion_type": "urn:other"}
    ),
    "signed-for-the-token-endpoint": _for_the_endpoint("token"),
    "signed-for-userinfo": _for_the_endpoint("userinfo"),
    "signed-for-both": _for_both,
    "signed-for-somebody-else": assertion("signing", aud="https://other.example"),
    "signed-for-the-issuer-with-a-slash": lambda site: Authentication(
        {}, in_body(site.assertion("signing", aud=f"{site.issuer}/"))
    ),
    "signed-without-audience": assertion("signing", aud=None),
    "signed-without-issuer": assertion("signing", iss=None),
    "signed-from-somebody-else": assertion("signing", iss="other"),
    "signed-without-subject": assertion("signing", sub=None),
    "signed-about-somebody-else": assertion("signing", sub="other"),
    "signed-about-nobody": assertion("signing", iss="nobody", sub="nobody"),
    "signed-without-jti": assertion("signing", jti=None),
    "signed-jti-number": assertion("signing", jti=5),
    "signed-without-exp": assertion("signing", exp=None),
    "signed-exp-text": assertion("signing", exp="soon"),
    "signed-expired": _times(iat=-400, exp=-100),
    "signed-just-expired": _times(iat=-60, exp=-5),
    "signed-for-an-hour": _times(exp=3600),
    "signed-for-a-day": _times(exp=86400),
    "signed-long-ago-for-long": _times(iat=-3000, exp=600),
    "signed-a-little-early": _times(iat=8, exp=60),
    "signed-not-yet": _times(nbf=300, exp=400),
    "signed-in-the-future": _times(iat=300, exp=400),
    "signed-without-iat": assertion("signing", iat=None),
    "signed-without-kid": assertion("signing", {"kid": None}),
    "signed-by-unknown-kid": assertion("signing", {"kid": "unknown"}),
    "signed-as-rs256": assertion("signing", {"alg": "RS256"}),
    "signed-typ-of-its-own": assertion("signing", {"typ": "client-authentication+jwt"}),
    "signed-typ-of-another-kind": assertion("signing", {"typ": "dpop+jwt"}),
    "signed-crit": assertion("signing", {"crit": ["magic"], "magic": 1}),
    "strict": lambda site: site.authentication("strict"),
    "strict-for-the-token-endpoint": lambda site: Authentication(
        {}, in_body(site.assertion("strict", aud=site.address("token")))
    ),
    "strict-for-a-list": lambda site: Authentication({}, in_body(site.assertion("strict", aud=[site.issuer]))),
}
# At the other endpoints those that show which endpoint it is.
EVERYWHERE = ("nobody", "basic", "post", "none", "hmac", "signed", "signed-for-the-token-endpoint", "two-methods")
EVERYWHERE += ("basic-wrong-secret", "none-of-a-confidential-client", "bearer", "signed-expired", "strict")


def questions() -> Iterator[Question]:
    for name, says in SAID.items():
        for endpoint, form in FORMS.items():
            if endpoint == "token" or name in EVERYWHERE:
                short = SHORT.get(endpoint, endpoint)
                yield Question(f"{short}/client-{name}", _asked(endpoint, form, says))
    yield Question("token/client-signed-twice-by-the-same-assertion", _replayed)


def _asked(endpoint: str, form: Mapping[str, str], says: SAYS) -> Callable[[Site], Answer]:
    return lambda site: answered(site.post(endpoint, form, says(site)))


def _replayed(site: Site) -> Answer:
    same = site.authentication("signing")
    site.post("token", FORMS["token"], same)
    return answered(site.post("token", FORMS["token"], same))
