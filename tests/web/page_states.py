"""Every page in every state it has, as the views would show it, and a small application that serves them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

import segno
from flask import Flask, Response, abort

from idp.admin.signing_keys import ShownKey
from idp.kernel.resources import folder
from idp.mail.post import MailState
from idp.oidc import discovery
from idp.signin.answers.sending import OnItsWay
from idp.web import examples
from idp.web.pages import FRAME_KEY, ErrorText, FrameOrganization, Logo, init_pages, render
from idp.web.texts import masked_address

CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'none'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FRAME = FrameOrganization("Atosi", "088 - 600 6400")
OWN_LOOK = FrameOrganization(
    "Atosi",
    "088 - 600 6400",
    organization_name="Ziekenhuissamenwerkingsverbandsbestuurskamer Noord-Nederland",
    privacy_uri="https://linde.example/privacy",
    own_texts={"nl": {"code.help": "Loop langs bij Jan."}, "en": {"code.help": "Ask Jan."}},
)
TODAY = date(2021, 11, 23)
DEADLINE = date(2022, 2, 1)
UNTIL = datetime(2021, 11, 23, 13, 35, tzinfo=UTC)
_KID = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9X"
SECRET = "JBSWY3DPEHPK3PXPKRSXG5BAMF2G643J"
OTPAUTH_URI = f"otpauth://totp/Atosi:j.jansen?secret={SECRET}&issuer=Atosi&algorithm=SHA1&digits=6&period=30"


@dataclass(frozen=True)
class PageState:
    """One thing a page can show. `name` is unique; it ends in what is special about the state."""

    name: str
    template: str
    context: Mapping[str, object]
    status: int = 200
    organization: FrameOrganization | None = None

    @property
    def error(self) -> ErrorText | None:
        error = self.context.get("error")
        assert error is None or isinstance(error, ErrorText)
        return error


def qr_drawing(uri: str) -> tuple[str, int]:
    """The path data of the QR code of `uri`, a square for each dark module, and its size with the quiet zone."""
    matrix = segno.make(uri, error="m", micro=False).matrix
    squares = [
        f"M{column + 4} {row + 4}h1v1h-1z"
        for row, modules in enumerate(matrix)
        for column, dark in enumerate(modules)
        if dark
    ]
    return "".join(squares), len(matrix) + 8


_FORM = {"action": "#", "csrf_token": "4f2a"}
_IDENTIFY: dict[str, object] = _FORM | {
    "app_name": "Atosi",
    "organisation": "",
    "username": "",
    "remember": False,
    "policy_uri": None,
    "tos_uri": None,
    "app_logo": None,
    "notice": None,
    "notice_slots": {},
}
_CHOOSE = _FORM | {
    "username": "j.jansen",
    "org_code": "10234",
    "totp_offered": True,
    "email_offered": True,
    "email_masked": masked_address("jan@voorbeeld.nl"),
    "email_missing": False,
    "email_shared": False,
    "after_reset": False,
    "postpone_offered": True,
    "postpone_until": DEADLINE,
    "today": TODAY,
    "reminder_days": None,
    "last_day": False,
    "after_deadline": False,
    "demanded_by": None,
    "restart_url": "/stay",
}
_QR_PATH, _QR_SIZE = qr_drawing(OTPAUTH_URI)
_ENROL = _FORM | {
    "qr_path": _QR_PATH,
    "qr_size": _QR_SIZE,
    "otpauth_uri": OTPAUTH_URI,
    "key_groups": "JBSW Y3DP EHPK 3PXP KRSX G5BA MF2G 643J",
    "issuer_name": "Atosi",
    "username": "j.jansen",
    "other_url": "/stay",
}
_VERIFY = _FORM | {
    "username": "j.jansen",
    "org_code": "10234",
    "issuer_name": "Atosi",
    "restart_url": "/stay",
    "other_methods_url": None,
    "tries_left": None,
}
_MAIL_SENT = OnItsWay("jan@voorbeeld.nl", MailState.SENT, UNTIL + timedelta(minutes=10), None, None)
_MAIL = _FORM | {
    "username": "j.jansen",
    "org_code": "10234",
    "restart_url": "/stay",
    "sending": _MAIL_SENT,
    "address_masked": masked_address("jan@voorbeeld.nl"),
    "zone": "Europe/Amsterdam",
    "notice": None,
    "other_url": "/stay",
    "other_methods_url": None,
    "tries_left": None,
}


def _sending(**changes: object) -> dict[str, object]:
    return {"sending": replace(_MAIL_SENT, **changes)}  # type: ignore[arg-type]


_METHODS = _FORM | {
    "username": "j.jansen",
    "org_code": "10234",
    "restart_url": "/stay",
    "issuer_name": "Atosi",
    "methods": [
        {"name": "totp", "title": "method.totp", "address": None},
        {"name": "email", "title": "method.email", "address": masked_address("jan@voorbeeld.nl")},
    ],
}
_CONSENT = _FORM | {
    "app_name": "Rapportages",
    "client_host": "rapportages.example",
    "confirm": "d2VldCB1IGhldCB6ZWtlcg",
    "claims": [
        ("consent.gets.account", None),
        ("consent.gets.name", "Anna de Wit"),
        ("consent.gets.username", "anna"),
        ("consent.gets.email", "anna@voorbeeld.nl"),
        ("consent.gets.organisation", "Gemeente Voorbeeld (10234)"),
        ("consent.gets.role", "Beheerder"),
        ("consent.gets.language", "Nederlands"),
        ("consent.gets.offline_access", None),
    ],
    "restart_url": "/stay",
}
_CODE = {"request_code": "K7QM-3F"}
_FINISHED = {"app_name": "Atosi", "app_url": "https://atosi.example/", "signed_in": True}

_OVER: Mapping[str, Mapping[str, int]] = {
    "idle": {"minutes": 30},
    "absolute": {"hours": 12},
    "administrator": {},
    "protection": {},
    "idle_unnumbered": {},
    "absolute_unnumbered": {},
}
_SESSION_OVER: dict[str, object] = {
    "by_itself": True,
    "why": "identify.notice.signed_out_idle",
    "slots": {"minutes": 10},
    "restart_url": None,
    "app_name": "Atosi",
    "app_url": "https://atosi.example/",
}
_FRAMES: dict[str, object] = {"target": "/stay", "app_name": None, "is_web": True, "frames": []}
_SIGNED_OUT: dict[str, object] = {
    "app_name": "Atosi",
    "app_url": "https://atosi.example/",
    "told": [],
    "asked": [],
    "untold": [],
    "waiting": [],
    "unreached": [],
    "is_last_look": True,
}


def _home(issuer: str, registration: str = "off") -> dict[str, object]:
    metadata = discovery.metadata(issuer, highest_level=3, registers=registration != "off")
    day = timedelta(days=1)
    keys = [
        (
            "RS256",
            ShownKey(f"{_KID}0", "RS256", UNTIL - 90 * day, UNTIL - 90 * day, UNTIL - day, UNTIL + 29 * day, None),
        ),
        ("RS256", ShownKey(f"{_KID}1", "RS256", UNTIL - 2 * day, UNTIL - day, None, None, None)),
        ("ES256", ShownKey(f"{_KID}2", "ES256", UNTIL, UNTIL + day, None, None, None)),
    ]
    return {
        "metadata": list(metadata.items()),
        "configuration": issuer + discovery.OPENID_CONFIGURATION,
        "registration": registration,
        "keys": [({"kid": times.kid, "alg": alg, "use": "sig"}, times) for alg, times in keys],
        "examples": examples.of(metadata, registration),
    }


def _error(field: str, key: str, **params: object) -> dict[str, object]:
    return {"error": ErrorText(field, key, params)}


def _states() -> list[PageState]:
    identify, choose = "signin/identify.html", "signin/enrol_choose.html"
    enrol, verify = "factors/totp/enrol.html", "factors/totp/verify.html"
    enrol_mail, verify_mail = "factors/email/enrol.html", "factors/email/verify.html"
    expired: dict[str, object] = {"app_name": "Atosi", "restart_url": None, "app_url": None, "line_in_app": None}
    signed_out = "end_session/signed_out.html"
    known = {"organisation": "10234", "username": "j.jansen", "remember": True}
    page = PageState
    return [
        page("identify", identify, _IDENTIFY),
        page("identify-known-organisation", identify, _IDENTIFY | {"organisation": "10234", "remember": True}),
        page(
            "identify-policies",
            identify,
            _IDENTIFY | {"policy_uri": "https://app.example/privacy", "tos_uri": "https://app.example/terms"},
        ),
        # Any picture will do; static files are there under every hash.
        page("identify-logo", identify, _IDENTIFY | {"app_logo": Logo("/static/icon.of-this-page.svg", 40)}),
        *(
            page(
                f"identify-signed-out-{why}",
                identify,
                _IDENTIFY | {"notice": f"identify.notice.signed_out_{why}", "notice_slots": slots},
            )
            for why, slots in _OVER.items()
        ),
        page("identify-sign-in-again", identify, _IDENTIFY | known | {"notice": "identify.notice.sign_in_again"}),
        page("identify-error-wrong", identify, _IDENTIFY | known | _error("organisation", "identify.error.wrong")),
        *(
            page(f"identify-error-empty-{name}", identify, _IDENTIFY | _error(name, f"identify.error.empty_{name}"))
            for name in ("organisation", "username", "password")
        ),
        page(
            "choose-account",
            "signin/choose_account.html",
            _FORM | {"app_name": "Atosi", "session_username": "j.jansen", "session_organisation": "10234"},
        ),
        page("choose", choose, _CHOOSE),
        page("choose-app-only", choose, _CHOOSE | {"email_offered": False, "email_masked": None}),
        page(
            "choose-no-address", choose, _CHOOSE | {"email_offered": False, "email_masked": None, "email_missing": True}
        ),
        page("choose-email-only", choose, _CHOOSE | {"totp_offered": False}),
        page("choose-shared-address", choose, _CHOOSE | {"email_shared": True}),
        page("choose-reminder", choose, _CHOOSE | {"reminder_days": 20}),
        page("choose-reminder-one-day", choose, _CHOOSE | {"reminder_days": 1}),
        page("choose-last-day", choose, _CHOOSE | {"last_day": True, "reminder_days": 0, "today": DEADLINE}),
        page("choose-far-deadline", choose, _CHOOSE | {"postpone_until": date(2023, 2, 1)}),
        page("choose-after-deadline", choose, _CHOOSE | {"postpone_offered": False, "after_deadline": True}),
        page("choose-after-reset", choose, _CHOOSE | {"postpone_offered": False, "after_reset": True}),
        page("choose-demanded", choose, _CHOOSE | {"postpone_offered": False, "demanded_by": "Rapportages"}),
        page("choose-error-none", choose, _CHOOSE | _error("method", "choose.error.none")),
        page("choose-error-not-offered", choose, _CHOOSE | _error("method", "choose.error.not_offered")),
        page(
            "choose-error-after-deadline",
            choose,
            _CHOOSE
            | {"postpone_offered": False, "after_deadline": True}
            | _error("method", "choose.error.after_deadline"),
        ),
        page(
            "postpone",
            "signin/postpone_confirm.html",
            _FORM | {"confirm": "9c1e", "postpone_until": DEADLINE, "today": TODAY, "back_url": "/stay"},
        ),
        page("enrol", enrol, _ENROL),
        page("enrol-only-method", enrol, _ENROL | {"other_url": None}),
        *(
            page(f"enrol-error-{name}", enrol, _ENROL | _error("code", f"code.error.{name}"))
            for name in ("empty", "wrong", "wrong_again_enrolling", "used", "long", "chars")
        ),
        page("enrol-mail", enrol_mail, _MAIL),
        page("enrol-mail-sending", enrol_mail, _MAIL | _sending(mail=MailState.WAITING, next_at=UNTIL, limit="pause")),
        page("enrol-mail-failing", enrol_mail, _MAIL | _sending(mail=MailState.FAILING)),
        page("enrol-mail-none-sent", enrol_mail, _MAIL | _sending(mail=None, valid_until=None)),
        page("enrol-mail-too-many", enrol_mail, _MAIL | _sending(next_at=UNTIL, limit="hour")),
        page("enrol-mail-too-many-today", enrol_mail, _MAIL | _sending(next_at=UNTIL, limit="day")),
        page("enrol-mail-error-wrong", enrol_mail, _MAIL | _error("code", "code.error.wrong_mail")),
        page("verify-mail", verify_mail, _MAIL),
        page("verify-mail-other-method", verify_mail, _MAIL | {"other_methods_url": "/stay"}),
        page("verify-mail-resent", verify_mail, _MAIL | {"notice": "code.notice.resent"}),
        page(
            "verify-mail-too-early",
            verify_mail,
            _MAIL | _sending(next_at=UNTIL, limit="pause") | {"notice": "code.notice.too_early"},
        ),
        page("verify-mail-failing", verify_mail, _MAIL | _sending(mail=MailState.FAILING)),
        page("verify-mail-none-sent", verify_mail, _MAIL | _sending(mail=None, valid_until=None)),
        page("verify-mail-error-wrong", verify_mail, _MAIL | _error("code", "code.error.wrong_mail", tries_left=2)),
        page("choose-method", "signin/choose_method.html", _METHODS),
        page(
            "choose-method-error-none",
            "signin/choose_method.html",
            _METHODS | _error("method", "choose.error.none"),
        ),
        page(
            "enrolment-closed",
            "signin/enrolment_closed.html",
            {"username": "j.jansen", "org_code": "10234", "restart_url": "/stay"},
            403,
        ),
        page("verify", verify, _VERIFY),
        page("verify-other-method", verify, _VERIFY | {"other_methods_url": "/stay"}),
        page("verify-error-wrong", verify, _VERIFY | _error("code", "code.error.wrong")),
        page("verify-error-wrong-again", verify, _VERIFY | _error("code", "code.error.wrong_again")),
        page("verify-error-tries-left", verify, _VERIFY | {"tries_left": 2} | _error("code", "code.error.wrong")),
        page("verify-error-last-try", verify, _VERIFY | _error("code", "code.error.wrong", tries_left=1)),
        page("verify-error-one-digit", verify, _VERIFY | _error("code", "code.error.short", digits=1)),
        page("verify-error-short", verify, _VERIFY | _error("code", "code.error.short", digits=5)),
        page(
            "no-usable-factor",
            "signin/no_usable_factor.html",
            {"username": "j.jansen", "org_code": "10234", "app_name": "Atosi"},
            403,
        ),
        *(
            page(
                f"wait-{kind}",
                "signin/wait.html",
                {
                    "kind": kind,
                    "until": UNTIL,
                    "zone": "Europe/Amsterdam",
                    "retry_url": "/stay",
                    "other_methods_url": other,
                },
                429,
            )
            for kind, other in (("password", None), ("code", "/stay"))
        ),
        page("blocked", "signin/blocked.html", {"restart_url": "/stay"}, 403),
        page("consent", "signin/consent.html", _CONSENT),
        page(
            "handoff",
            "signin/handoff.html",
            {"target": "/stay?code=1&state=2", "app_name": "Atosi", "is_web": True},
        ),
        page(
            "handoff-app",
            "signin/handoff.html",
            {"target": "nl.example.app:/callback?code=1", "app_name": "Atosi", "is_web": False},
        ),
        page(
            "form-post",
            "signin/form_post.html",
            {"target": "/stay", "fields": [("code", "1"), ("state", "<2>")], "app_name": "Atosi"},
        ),
        page("finished", "signin/finished.html", _FINISHED),
        page("finished-no-address", "signin/finished.html", _FINISHED | {"app_url": None}),
        page("finished-signed-out", "signin/finished.html", _FINISHED | {"signed_in": False}),
        page(
            "finished-signed-out-no-address", "signin/finished.html", _FINISHED | {"signed_in": False, "app_url": None}
        ),
        page("expired", "signin/expired.html", expired | {"restart_url": "/stay"}, 410),
        page(
            "expired-enrolling", "signin/expired.html", expired | {"restart_url": "/stay", "line_in_app": "Atosi"}, 410
        ),
        page("expired-old", "signin/expired.html", expired | {"app_url": "https://atosi.example/"}, 410),
        page("expired-unknown-application", "signin/expired.html", expired | {"app_name": None}, 410),
        page("expired-no-address", "signin/expired.html", expired, 410),
        page("cookies-off", "signin/cookies_off.html", {"restart_url": "/stay"}, 400),
        page(
            "level-unreachable", "signin/level_unreachable.html", {"app_name": "Rapportages", "continue_url": "/stay"}
        ),
        page(
            "logout",
            "end_session/confirm.html",
            _FORM | {"username": "j.jansen", "app_names": ["Atosi", "Rapportages"], "untold": ["Planning"]},
        ),
        page(
            "logout-no-application",
            "end_session/confirm.html",
            _FORM | {"username": "j.jansen", "app_names": [], "untold": []},
        ),
        page("logout-frames", "end_session/frames.html", _FRAMES | {"app_name": "Atosi"}),
        page("logout-frames-no-application", "end_session/frames.html", _FRAMES),
        page(
            "logout-frames-app",
            "end_session/frames.html",
            _FRAMES | {"app_name": "Atosi", "target": "nl.example.app:/signed-out", "is_web": False},
        ),
        *(
            page(
                f"session-over-{why}",
                "signin/session_over.html",
                _SESSION_OVER
                | {"why": f"identify.notice.signed_out_{why}", "slots": slots, "by_itself": why != "administrator"},
            )
            for why, slots in _OVER.items()
        ),
        page("session-over-attempt", "signin/session_over.html", _SESSION_OVER | {"restart_url": "/stay"}, 410),
        page("session-over-no-address", "signin/session_over.html", _SESSION_OVER | {"app_url": None}),
        page("session-over-no-application", "signin/session_over.html", _SESSION_OVER | {"app_name": None}),
        page("signed-out", signed_out, _SIGNED_OUT | {"told": ["Atosi", "Rapportages"]}),
        page(
            "signed-out-waiting",
            signed_out,
            _SIGNED_OUT | {"told": ["Atosi"], "waiting": ["Rapportages"], "is_last_look": False},
        ),
        page("signed-out-asked", signed_out, _SIGNED_OUT | {"told": ["Atosi"], "asked": ["Rapportages"]}),
        page("signed-out-untold", signed_out, _SIGNED_OUT | {"told": ["Atosi"], "untold": ["Rapportages"]}),
        page("signed-out-no-answer", signed_out, _SIGNED_OUT | {"told": ["Atosi"], "waiting": ["Rapportages"]}),
        page("signed-out-unreached", signed_out, _SIGNED_OUT | {"told": ["Atosi"], "unreached": ["Rapportages"]}),
        page("signed-out-nobody-reached", signed_out, _SIGNED_OUT | {"unreached": ["Rapportages", "Roosters"]}),
        page("signed-out-plain", signed_out, _SIGNED_OUT | {"app_name": None, "app_url": None}),
        page(
            "bad-request",
            "errors/bad_request.html",
            _CODE | {"developer_text": "redirect_uri <https://x.example> is not registered for client “atosi”."},
            400,
        ),
        page("bad-request-plain", "errors/bad_request.html", _CODE | {"developer_text": ""}, 400),
        page("not-found", "errors/not_found.html", _CODE, 404),
        page("server-error", "errors/server_error.html", _CODE, 500),
        page("too-many", "errors/too_many.html", _CODE | {"until": UNTIL, "zone": "Europe/Amsterdam"}, 429),
        page("too-many-no-time", "errors/too_many.html", _CODE | {"until": None}, 429),
        page("busy", "errors/busy.html", _CODE, 503),
        page("forbidden", "errors/forbidden.html", _CODE | {"retry_url": "/stay"}, 403),
        page("home", "issuer/home.html", _home("https://login.example")),
        page(
            "home-of-an-issuer-with-a-path",
            "issuer/home.html",
            _home("https://aanmelden.samenwerkingsverband.example:8443/atosi/aanmelden", registration="token"),
        ),
        page("home-anybody-registers", "issuer/home.html", _home("http://localhost:8000", registration="open")),
        page("home-no-keys", "issuer/home.html", _home("https://login.example") | {"keys": []}),
        page("verify-own-look", verify, _VERIFY, organization=OWN_LOOK),
        page(
            "home-with-hours",
            "issuer/home.html",
            _home("https://login.example"),
            organization=FrameOrganization("Gemeente Voorbeeld", "+31 88 600 6400", "8.30 – 17.00", idle_minutes=15),
        ),
    ]


STATES = MappingProxyType({state.name: state for state in _states()})
LEAVING = frozenset(
    {"handoff", "handoff-app", "form-post", "logout-frames", "logout-frames-no-application", "logout-frames-app"}
)
"""The states whose page leaves by itself."""


def make_app() -> Flask:
    """An application that serves each state at `/page/<name>` under the policy of the sign-in pages."""
    app = Flask("page_states", template_folder=str(folder("templates")), static_folder=None)
    app.config[FRAME_KEY] = FRAME
    init_pages(app)

    @app.get("/page/<name>")
    def show(name: str) -> Response:
        state = STATES.get(name) or abort(404)
        return render(state.template, status=state.status, organization=state.organization, **state.context)

    @app.route("/stay", methods=["GET", "POST"])
    def stay() -> Response:
        return Response("stay", content_type="text/plain")

    @app.get("/favicon.ico")
    def icon() -> Response:
        # Browsers want one for `/stay`, which names none.
        return Response(status=204)

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = CSP
        return response

    return app
