"""A relying application that hands its login over to the provider, as an application of a customer would.

Its own are the pages; logging in and out, the session and the notices are those of the kit in `clients/python`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask, Response, jsonify, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from idp.demo.pages import dutch_moment, new_application
from idp.kernel.clock import Clock
from idp_kit import KitConfig, Login, SessionKit, SignInFailed, Store
from idp_kit.config import origin
from idp_kit.extension import local_path
from idp_kit.pages import login_address


@dataclass(frozen=True)
class RelyingPartyConfig:
    """One application. `base_url` has no slash at its end; the redirect URI is `{base_url}/callback`, and after logging
    out the browser returns to `{base_url}/signed-out`. Both applications of the demonstration run on one host, and
    cookies do not heed ports: each needs a `session_cookie` of its own. `accent` is a name of `pages.ACCENTS`.
    Without `other_url` its pages lead to no other application. `provider_timeout` bounds each call to the provider: to
    connect, and between two pieces of its answer."""

    name: str
    issuer: str
    client_id: str
    client_secret: str
    base_url: str
    secret_key: str
    session_cookie: str
    accent: str
    other_name: str
    other_url: str
    provider_timeout: timedelta = timedelta(seconds=5)

    def for_kit(self) -> KitConfig:
        """What the kit must know of it."""
        return KitConfig(
            issuer=self.issuer,
            client_id=self.client_id,
            client_secret=self.client_secret,
            base_url=self.base_url,
            secret_key=self.secret_key,
            cookie=self.session_cookie,
            provider_timeout=self.provider_timeout,
        )


@dataclass(frozen=True)
class Problem:
    """A page that says what went wrong and what somebody can do; `try_again` offers to log in once more."""

    status: int
    title: str
    text: str
    try_again: bool = True


PROBLEMS: Mapping[str, Problem] = {
    "unknown_state": Problem(
        400, "Dit inloggen is niet gelukt", "De aanvraag is al gebruikt, verlopen of in een andere browser begonnen."
    ),
    "already_signed_in": Problem(
        400, "U bent al ingelogd", "Dit inloggen is al gebruikt of in een ander tabblad afgerond.", False
    ),
    "refused": Problem(400, "Dit inloggen is niet gelukt", "Wij konden niet vaststellen dat het antwoord bij u hoort."),
    "unreachable": Problem(
        503, "Inloggen kan nu even niet", "De inlogdienst antwoordt niet. Probeer het over een minuut."
    ),
    "logged_out_here_only": Problem(
        503,
        "U bent alleen hier uitgelogd",
        "De inlogdienst antwoordt niet. Sluit uw browser om overal uitgelogd te zijn.",
    ),
    "error.access_denied": Problem(
        403, "U bent niet ingelogd", "U heeft het inloggen afgebroken, of u heeft geen toegang tot deze applicatie."
    ),
    "error.login_required": Problem(400, "U moet opnieuw inloggen", "U bent bij de inlogdienst niet meer ingelogd."),
    "error.interaction_required": Problem(
        400, "U moet opnieuw inloggen", "De inlogdienst wil u eerst iets vragen, bijvoorbeeld een code."
    ),
    "error.consent_required": Problem(
        400, "Uw toestemming is nodig", "De inlogdienst vraagt of deze applicatie uw gegevens mag gebruiken."
    ),
    "error.account_selection_required": Problem(
        400, "Kies een account", "De inlogdienst wil weten met welk account u verder gaat."
    ),
    "error.unmet_authentication_requirements": Problem(
        403, "Uw manier van inloggen is niet sterk genoeg", "Voor deze applicatie is een sterkere controle nodig."
    ),
    "error.temporarily_unavailable": Problem(
        503, "Inloggen kan nu even niet", "De inlogdienst heeft het druk. Probeer het over een minuut opnieuw."
    ),
    "error.server_error": Problem(
        502, "Inloggen kan nu even niet", "Bij de inlogdienst ging iets mis. Probeer het opnieuw."
    ),
}
OTHER_ERROR = Problem(400, "Dit inloggen is niet gelukt", "De inlogdienst kon het verzoek niet uitvoeren.")
PAGE_PROBLEMS: Mapping[int, Problem] = {
    403: Problem(403, "Dit formulier is verlopen", "Ga terug naar de beginpagina en probeer het opnieuw.", False),
    404: Problem(404, "Deze pagina bestaat niet", "Controleer het adres, of ga naar de beginpagina.", False),
}
SERVER_PROBLEM = Problem(500, "Er ging iets mis", "Probeer het opnieuw, of ga naar de beginpagina.", False)

PageAnswer = tuple[str, int, dict[str, str]]
RETRY_AFTER = "60"  # seconds

LEVELS = {"1": "alleen wachtwoord", "2": "wachtwoord en code", "3": "wachtwoord en code uit een app"}
METHODS = {
    "pwd": "wachtwoord",
    "otp": "code",
    "mfa": "twee factoren",
    "hwk": "sleutel",
    "swk": "sleutel",
    "user": "aanwezig",
}


def create_relying_party(
    config: RelyingPartyConfig, clock: Clock | None = None, store: Store | None = None, background: bool = True
) -> Flask:
    """The application, ready to serve. It finds the provider when somebody logs in, not before. `app.extensions` holds
    its SessionKit as "idp_kit", to be closed; `background` is off in tests that move time themselves."""
    app = new_application(__name__, config.name, config.accent, f"'self' {origin(config.issuer)}", scripts=True)
    kit = SessionKit(app, config.for_kit(), store, clock, background)

    @app.get("/")
    def home() -> AnyResponse | str:
        if kit.login is None and kit.ended is not None:
            wanted = request.full_path.rstrip("?")
            return redirect("/signed-out" if wanted == "/" else url_for("signed_out", next=wanted), 303)
        if kit.login is None:
            return render_template("welcome.html", other_name=config.other_name, other_url=config.other_url)
        return render_template(
            "signed_in.html",
            person=_known_about(kit.login),
            csrf_token=kit.csrf_token(),
            other_name=config.other_name,
            other_url=config.other_url,
        )

    @app.get("/signed-out")
    def signed_out() -> AnyResponse | str:
        wanted = local_path(request.args.get("next", "/"))
        if kit.login is not None:
            return redirect(wanted, 303)
        everywhere = kit.has_logged_out_everywhere()
        return render_template("signed_out.html", everywhere=everywhere, ended=kit.ended, next_path=wanted)

    @app.get("/api/session")
    def show_session() -> Response:
        if kit.login is None:
            return jsonify(signed_in=False)
        return jsonify(signed_in=True, claims=kit.login.claims, userinfo=kit.login.userinfo)

    @app.errorhandler(SignInFailed)
    def explain(failure: SignInFailed) -> PageAnswer:
        app.logger.warning("%s: nobody was signed in: %s", config.name, str(failure).encode("unicode_escape").decode())
        if failure.problem == "unknown_state" and kit.login is not None:
            return _problem_page(PROBLEMS["already_signed_in"])
        return _problem_page(PROBLEMS.get(failure.problem, OTHER_ERROR), next_path=failure.next_path)

    @app.errorhandler(HTTPException)
    def explain_http(error: HTTPException) -> PageAnswer:
        status = error.code or 500
        return _problem_page(PAGE_PROBLEMS.get(status, SERVER_PROBLEM), status)

    return app


def _problem_page(problem: Problem, status: int | None = None, next_path: str = "/") -> PageAnswer:
    """`next_path` is where another login leads."""
    said = status or problem.status
    page = render_template("problem.html", problem=problem, login=login_address(next_path))
    return page, said, {"Retry-After": RETRY_AFTER} if said == 503 else {}


@dataclass(frozen=True)
class Row:
    """One line of the table: what it is, the claim it comes from, and its value in words and as it was sent."""

    label: str
    claim: str
    value: str
    sent: str = ""


@dataclass(frozen=True)
class Person:
    """What the page says about whoever signed in."""

    name: str
    rows: tuple[Row, ...]


def _known_about(login: Login) -> Person:
    claims, userinfo = login.claims, login.userinfo
    name = str(userinfo.get("name") or userinfo.get("preferred_username") or "onbekende gebruiker")
    organisation = str(userinfo.get("organisation_name", "onbekend"))
    level = str(claims.get("acr", ""))
    methods = [str(method) for method in _list(claims.get("amr"))]
    rows = (
        Row("Naam", "name", name),
        Row("Gebruikersnaam", "preferred_username", str(userinfo.get("preferred_username", "onbekend"))),
        Row("Organisatie", "organisation_name", organisation, str(userinfo.get("organisation_code", ""))),
        Row("Niveau van inloggen", "acr", LEVELS.get(level.rpartition("/acr/")[2], "onbekend"), level),
        Row(
            "Gecontroleerd met", "amr", ", ".join(METHODS.get(method, method) for method in methods), " ".join(methods)
        ),
        Row("Ingelogd op", "auth_time", _moment(claims.get("auth_time")), str(claims.get("auth_time", ""))),
        Row("Uw vaste nummer", "sub", str(claims["sub"])),
        Row("Sessie", "sid", str(claims.get("sid", "onbekend"))),
    )
    return Person(name, rows)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _moment(auth_time: Any) -> str:
    if not isinstance(auth_time, int):
        return "onbekend"
    return dutch_moment(datetime.fromtimestamp(auth_time, UTC))
