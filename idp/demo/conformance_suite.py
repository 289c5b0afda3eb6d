"""The configuration of the OpenID Foundation's conformance suite: which plans, against what, and how its browser acts.

PLANS            each plan with its variants, and the configuration that it is run with
configurations   the content of those files, by name

A `browser` entry names a page that the suite opens; its tasks are obeyed in their order, each on the page of its
`match` (an `optional` one is left out elsewhere). `override` replaces members of the configuration for one module. The
ids and texts are those of our own pages in English, which the suite's browser asks for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from idp.demo.certification import (
    FAPI2_ALIAS,
    ORG_CODE,
    PASSWORD,
    STATIC_ALIAS,
    USERNAME,
    Clients,
    StaticClient,
)

OIDC, STATIC, FAPI2 = "oidc.json", "oidc-static.json", "fapi2.json"
OIDC_ALIAS = "idp-oidc"
FAPI2_SCOPE = "openid email"
FAPI2_MODULES = "fapi2-security-profile-final-"

# Markers: regular expressions that are looked for in what `main` says.
LOGIN_PAGE = "Sign in to"
ERROR_PAGE = "sign in with this link"
LOGOUT_QUESTION_PAGE = "Do you want to sign out"
SIGNED_OUT_PAGE = "You are signed out"
# The suite looks at what is shown, or only if it asked for a picture of it.
PICTURE, PICTURE_IF_ASKED = "update-image-placeholder", "update-image-placeholder-optional"
# Seconds.
SHOWN_WITHIN, LEFT_WITHIN = 10, 30

Json = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """A plan as the suite names it, with the variants that somebody chooses, and the file to configure it with."""

    name: str
    configuration: str
    variants: Mapping[str, str]

    @property
    def chosen(self) -> str:
        """As `run-test-plan.py` of the suite takes it."""
        return self.name + "".join(f"[{name}={value}]" for name, value in self.variants.items())


_DISCOVERY, _DYNAMIC = {"server_metadata": "discovery"}, {"client_registration": "dynamic_client"}
PLANS = (
    Plan("oidcc-basic-certification-test-plan", OIDC, _DISCOVERY | _DYNAMIC),
    Plan(
        "oidcc-basic-certification-test-plan",
        STATIC,
        _DISCOVERY | {"client_registration": "static_client"},
    ),
    Plan("oidcc-config-certification-test-plan", OIDC, {}),
    Plan("oidcc-formpost-basic-certification-test-plan", OIDC, _DISCOVERY | _DYNAMIC),
    Plan("oidcc-dynamic-certification-test-plan", OIDC, {"response_type": "code"}),
    Plan("oidcc-3rdparty-init-login-certification-test-plan", OIDC, {"response_type": "code"}),
    *(
        Plan(f"oidcc-{kind}-certification-test-plan", OIDC, _DYNAMIC | {"response_type": "code"})
        for kind in ("rp-initiated-logout", "frontchannel-rp-initiated-logout", "backchannel-rp-initiated-logout")
    ),
    Plan(
        "fapi2-security-profile-final-test-plan",
        FAPI2,
        {
            "client_auth_type": "private_key_jwt",
            "sender_constrain": "dpop",
            "openid": "openid_connect",
            "fapi_profile": "plain_fapi",
        },
    ),
)

SHOWS_AN_ERROR = (
    "oidcc-ensure-registered-redirect-uri",
    "oidcc-ensure-redirect-uri-in-authorization-request",
    "oidcc-redirect-uri-query-added",
    "oidcc-redirect-uri-query-mismatch",
    # Where it is not skipped: the object is unsigned, so that what stands beside it counts.
    "oidcc-ensure-request-object-with-redirect-uri",
)
ASKS_TWICE = ("oidcc-prompt-login", "oidcc-max-age-1")
SHOWS_THE_APPLICATION = (
    "oidcc-registration-logo-uri",
    "oidcc-registration-policy-uri",
    "oidcc-registration-tos-uri",
)
# Requests to log out with something wrong in them: our page asks the person, and the suite looks at the question.
ASKS_ABOUT_LOGOUT = (
    "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri",
    "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri",
    "oidcc-rp-initiated-logout-bad-id-token-hint",
    "oidcc-rp-initiated-logout-modified-id-token-hint",
    "oidcc-rp-initiated-logout-no-id-token-hint",
)
# Requests that name no place to go afterwards: whether our page asks first.
LOGS_OUT_HERE = {
    "oidcc-rp-initiated-logout-no-params": True,
    "oidcc-rp-initiated-logout-only-state": True,
    "oidcc-rp-initiated-logout-no-post-logout-redirect-uri": False,
}
FAPI2_REFUSES = "user-rejects-authentication"
FAPI2_SHOWS_AN_ERROR = "par-attempt-to-use-request_uri-for-different-client"
FAPI2_OPENS_TWICE = "par-ensure-reused-request-uri-prior-to-auth-completion-succeeds"


def configurations(issuer: str, clients: Clients) -> Mapping[str, Json]:
    """What the files hold, by their names."""
    return {
        OIDC: _oidc(OIDC_ALIAS, issuer)
        | {"client": {"client_name": "first-client"}, "client2": {"client_name": "second-client"}},
        STATIC: _oidc(STATIC_ALIAS, issuer)
        | {name: _secret_of(clients[name]) for name in ("client", "client2", "client_secret_post")},
        FAPI2: _fapi2(issuer, clients),
    }


def _secret_of(client: StaticClient) -> Json:
    return {"client_id": client.client_id, "client_secret": client.client_secret}


def _keys_of(client: StaticClient) -> Json:
    return {"client_id": client.client_id, "scope": FAPI2_SCOPE, "jwks": client.jwks}


def _oidc(alias: str, issuer: str) -> Json:
    pages = _Pages(alias, issuer)
    overridden = {
        **dict.fromkeys(SHOWS_AN_ERROR, [pages.error()]),
        **dict.fromkeys(SHOWS_THE_APPLICATION, [pages.login_page_alone()]),
        **dict.fromkeys(ASKS_TWICE, [pages.authorization(with_picture=True)]),
        **dict.fromkeys(ASKS_ABOUT_LOGOUT, [pages.authorization(), pages.logout_question()]),
        **{name: [pages.authorization(), pages.logout_shown(asks)] for name, asks in LOGS_OUT_HERE.items()},
    }
    return _configuration(alias, issuer, [pages.authorization(), pages.logout()], overridden)


def _fapi2(issuer: str, clients: Clients) -> Json:
    pages = _Pages(FAPI2_ALIAS, issuer)
    usual = pages.authorization()
    overridden = {
        FAPI2_SHOWS_AN_ERROR: [pages.error()],
        FAPI2_OPENS_TWICE: [pages.login_page_once(), usual],
        FAPI2_REFUSES: [pages.authorization(consent="consent-deny")],
    }
    result = _configuration(
        FAPI2_ALIAS, issuer, [usual], {f"{FAPI2_MODULES}{name}": entries for name, entries in overridden.items()}
    )
    # What somebody allowed once is not asked again: these clients are never allowed anything.
    result["override"][f"{FAPI2_MODULES}{FAPI2_REFUSES}"] |= {
        "client": _keys_of(clients["fapi2-refused"]),
        "client2": _keys_of(clients["fapi2-second-refused"]),
    }
    return result | {
        "client": _keys_of(clients["fapi2"]),
        "client2": _keys_of(clients["fapi2-second"]),
        "resource": {"resourceUrl": f"{issuer}/userinfo"},
    }


def _configuration(alias: str, issuer: str, browser: Iterable[Json], overridden: Mapping[str, list[Json]]) -> Json:
    return {
        "alias": alias,
        "description": "idp",
        "server": {"discoveryUrl": f"{issuer}/.well-known/openid-configuration"},
        "browser": list(browser),
        "override": {module: {"browser": entries} for module, entries in overridden.items()},
    }


class _Pages:
    """What the suite's browser does when it opens one of our endpoints."""

    def __init__(self, alias: str, issuer: str) -> None:
        self._issuer, self._suite = issuer, f"/test/a/{alias}"

    def authorization(self, consent: str = "consent-allow", with_picture: bool = False) -> Json:
        """Signs in where that is asked, answers the question for consent, and arrives at the callback."""
        return self._entry(
            "authorize",
            self._sign_in(with_picture),
            self._task("Consent", "/s/*/consent*", [["click", "id", consent]], optional=True),
            *self._arrive("callback", [["wait", "id", "submission_complete", SHOWN_WITHIN]]),
        )

    def login_page_alone(self) -> Json:
        """Looks at the login page, and does nothing there."""
        return self._entry("authorize", self._task("Login page", "/s/*/identify*", [_shown(LOGIN_PAGE)]))

    def login_page_once(self) -> Json:
        """Waits for the login page, the first time that it is opened, and does nothing there."""
        waits = [["wait", "id", "login-submit", SHOWN_WITHIN]]
        return {**self._entry("authorize", self._task("Login page", "/s/*/identify*", waits)), "match-limit": 1}

    def error(self) -> Json:
        """Looks at the page that says what is wrong."""
        return self._entry("authorize", self._task("Error page", "/authorize*", [_shown(ERROR_PAGE)]))

    def logout(self) -> Json:
        """Is signed out and arrives at the application."""
        return self._entry("end_session", *self._arrive("post_logout_redirect", []))

    def logout_question(self) -> Json:
        """Looks at the question whether to sign out, and does not answer it."""
        return self._entry("end_session", self._task("Question", "/end_session*", [_shown(LOGOUT_QUESTION_PAGE)]))

    def logout_shown(self, asks: bool) -> Json:
        """Is signed out, after a question if one is asked, and stays on our page."""
        question = self._task("Sign out", "/end_session*", [["click", "id", "logout-confirm"]])
        end = self._task("Signed out", "/signed_out*", [_shown(SIGNED_OUT_PAGE)])
        return self._entry("end_session", *([question] if asks else []), end)

    def _sign_in(self, with_picture: bool) -> Json:
        commands: list[list[Any]] = [_shown(LOGIN_PAGE, PICTURE_IF_ASKED)] if with_picture else []
        typed = {"organisation": ORG_CODE, "username": USERNAME, "password": PASSWORD}
        commands += [["text", "id", field, value] for field, value in typed.items()]
        return self._task("Sign in", "/s/*/identify*", [*commands, ["click", "id", "login-submit"]], optional=True)

    def _arrive(self, at: str, then: list[list[Any]]) -> tuple[Json, Json]:
        # Pages that pass by themselves are left sooner by one of the suite's browsers than by the other.
        waits = ["wait", "contains", f"{self._suite}/{at}", LEFT_WITHIN]
        arrived = {"task": "Arrive", "match": f"*{self._suite}/{at}*", "commands": then}
        return self._task("Leave", "/*", [waits], optional=True), arrived

    def _entry(self, endpoint: str, *tasks: Json) -> Json:
        return {"match": f"{self._issuer}/{endpoint}*", "tasks": list(tasks)}

    def _task(self, name: str, path: str, commands: list[list[Any]], optional: bool = False) -> Json:
        always: Json = {"task": name, "match": f"{self._issuer}{path}", "commands": commands}
        return {**always, "optional": True} if optional else always


def _shown(marker: str, picture: str = PICTURE) -> list[Any]:
    return ["wait", "id", "main", SHOWN_WITHIN, marker, picture]
