"""SCREENS: what the page of each prompt shows. Reads what `flow.look` found; decides nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import segno
from flask import Response, current_app, request, url_for
from sqlalchemy import select

from idp.accounts.models import Account
from idp.factors.base import Person, Purpose, SendsCodes
from idp.factors.models import Credential
from idp.oidc import claims
from idp.oidc.clients import OFFLINE_ACCESS
from idp.signin import checks
from idp.signin.answers.common import (
    confirmation,
    offered_methods,
    pending_enrolment,
    usable_credential,
    usable_methods,
)
from idp.signin.outcomes import ONCE_MORE, Look
from idp.signin.people import campaign_of, shares_address
from idp.web import cookies, csrf, texts
from idp.web.appearance import dressed, logo_of
from idp.web.pages import FRAME_KEY, ErrorText, FrameOrganization, render
from idp.web.texts import masked_address
from idp.web.use_cases import use_cases

QUIET_ZONE = 4


def frame(account: Account | None) -> FrameOrganization:
    """The frame with the organisation's own look and service desk, once it is known whose page this is."""
    general: FrameOrganization = current_app.config[FRAME_KEY]
    if account is None:
        return general
    organization, minutes = account.organization, general.idle_minutes
    if organization.idle_timeout is not None:
        minutes = min(minutes, organization.idle_timeout // timedelta(minutes=1))
    general = dressed(replace(general, idle_minutes=minutes), organization)
    if organization.service_desk_phone is None:
        return general
    hours = organization.service_desk_hours or ""
    return replace(general, service_desk_phone=organization.service_desk_phone, service_desk_hours=hours)


def identify(look: Look) -> Response:
    """The login form, or the question which account it is to be."""
    reasons = look.pending.reasons if look.pending else ()
    session_account = look.session_account
    if {"select_account", "another_account"} & set(reasons) and session_account is not None:
        return _page(
            look,
            "signin/choose_account.html",
            session_username=session_account.username_shown,
            session_organisation=session_account.organization.org_code,
        )
    interaction, known, remembered = look.interaction, look.session_account, cookies.remembered_organisation()
    notice, org_code = ("identify.notice.sign_in_again", known.organization.org_code) if known else (None, remembered)
    over = None if known or interaction.leaves_session else use_cases().logout.over(cookies.browser().session_secret)
    if over is not None:
        notice, org_code = over.notice, over.account.organization.org_code
    if interaction.notice == ONCE_MORE:
        notice = ONCE_MORE
    return _page(
        look,
        "signin/identify.html",
        organisation=interaction.typed_organisation or org_code,
        username=interaction.typed_username or (known.username_shown if known else ""),
        remember=request.args.get("remember", "1" if remembered else "0") == "1",
        policy_uri=_of_app(look, "policy_uri"),
        tos_uri=_of_app(look, "tos_uri"),
        app_logo=logo_of(look.client),
        notice=notice,
        notice_slots=over.slots if over else {},
    )


def verify_second_factor(look: Look) -> Response:
    """The code field of the person's method, or the choice between their methods; without any the service desk."""
    credential = usable_credential(look, use_cases().units)
    if credential is None:
        return _page(look, "signin/no_usable_factor.html", status=403, **_who(look))
    if ("choose" in request.args or _error_is_of_choice(look)) and len(usable_methods(look)) > 1:
        return _choose_method(look)
    factor, sending = use_cases().answers.factors[credential.method], {}
    if isinstance(factor, SendsCodes) and credential.address is not None:
        sending = _sending(look, factor, "verification", credential.address)
    return _page(
        look,
        f"factors/{credential.method}/verify.html",
        **_who(look),
        **sending,
        issuer_name=_issuer_name(),
        other_methods_url=_other_methods_url(look),
        tries_left=None,
    )


def enrol_second_factor(look: Look) -> Response:
    """The choice, the are-you-sure of postponing, or the set-up of the chosen method; too late, the service desk."""
    if checks.enrolment_is_closed(look.situation):
        return _page(look, "signin/enrolment_closed.html", status=403, **_who(look))
    wants_choice = "choose" in request.args or look.interaction.error is not None and _error_is_of_choice(look)
    if look.interaction.postpone_asked and not wants_choice and checks.may_postpone(look.situation):
        return _postpone(look)
    enrolment = pending_enrolment(look, use_cases().envelope)
    if enrolment is None or look.interaction.enrolling_method is None or wants_choice:
        return _choose(look)
    person = Person(_person(look).username_shown, _issuer_name())
    method = look.interaction.enrolling_method
    factor = use_cases().answers.factors[method]
    shown = factor.enrolment_page(enrolment, person)
    if isinstance(factor, SendsCodes):
        shown |= _sending(look, factor, "enrolment", shown.pop("address"))
    path, size = qr_path(shown.pop("qr")) if "qr" in shown else ("", 0)
    return _page(
        look,
        f"factors/{method}/enrol.html",
        **_who(look),
        **shown,
        qr_path=path,
        qr_size=size,
        issuer_name=person.issuer_name,
        other_url=_choice_url(look),
    )


def consent(look: Look) -> Response:
    """What the application would get, with the real values."""
    listed: list[tuple[str, str | None]]
    known = claims.userinfo(_person(look), look.request.consent_scope, look.request.claims)
    listed = [(key, _in_words(known[name])) for name, key in CONSENT_KEYS.items() if name in known]
    listed = listed or [("consent.gets.account", None)]
    if OFFLINE_ACCESS in look.request.scope:
        listed.append(("consent.gets.offline_access", None))
    return _page(
        look,
        "signin/consent.html",
        client_host=urlsplit(look.request.redirect_uri).netloc or look.request.redirect_uri.partition(":")[0],
        claims=listed,
        restart_url=_other_account_url(look),
        confirm=confirmation(use_cases().derived_keys, look, "consent"),
    )


def _in_words(value: Any) -> str:
    """A claim in one line; of a postal address its parts, or as it stands on a letter where that is told."""
    if isinstance(value, dict):
        value = ", ".join([value["formatted"]] if "formatted" in value else value.values())
    return ", ".join(str(value).splitlines())


def waiting(look: Look, until: datetime) -> Response:
    """429: when the next attempt is taken, in clock time."""
    kind = "password" if look.pending_name == "identify" else "code"
    zone = look.account.organization.time_zone if look.account else "Europe/Amsterdam"
    others = {"verify_second_factor": _other_methods_url, "enrol_second_factor": _choice_url}.get(look.pending_name)
    retry_url = url_for("idp.show", interaction_id=look.interaction.id, prompt=look.pending_name)
    response = render(
        "signin/wait.html",
        status=429,
        organization=frame(look.account),
        kind=kind,
        until=until,
        zone=zone,
        retry_url=retry_url,
        other_methods_url=others(look) if others else None,
    )
    response.headers["Retry-After"] = str(max(1, round((until - use_cases().clock.now()).total_seconds())))
    return response


def blocked(look: Look) -> Response:
    """403: only after a right password."""
    return render(
        "signin/blocked.html", status=403, organization=frame(look.account), restart_url=_other_account_url(look)
    )


SCREENS: Mapping[str, Callable[[Look], Response]] = {
    "identify": identify,
    "verify_second_factor": verify_second_factor,
    "enrol_second_factor": enrol_second_factor,
    "consent": consent,
}

CONSENT_KEYS = {
    "name": "consent.gets.name",
    "preferred_username": "consent.gets.username",
    "email": "consent.gets.email",
    "phone_number": "consent.gets.phone",
    "address": "consent.gets.address",
    "middle_name": "consent.gets.middle_name",
    "nickname": "consent.gets.nickname",
    "birthdate": "consent.gets.birthdate",
    "gender": "consent.gets.gender",
    "picture": "consent.gets.picture",
    "profile": "consent.gets.profile",
    "website": "consent.gets.website",
    "zoneinfo": "consent.gets.zoneinfo",
    "organisation_name": "consent.gets.organisation",
}


def _choose(look: Look) -> Response:
    person, account = look.situation.person, _person(look)
    campaign, offered = campaign_of(account), offered_methods(look)
    today = campaign.today(look.now)
    may_postpone = checks.may_postpone(look.situation)
    days_left = campaign.days_left(look.now)
    has_been_reset = person is not None and person.has_been_reset
    with use_cases().units.reading() as unit:
        email_shared = "email" in offered and shares_address(unit, account)
    _leave_error_of_code(look)
    return _page(
        look,
        "signin/enrol_choose.html",
        **_who(look),
        totp_offered="totp" in offered,
        email_offered="email" in offered,
        email_masked=masked_address(account.email) if account.email else None,
        email_shared=email_shared,
        email_missing=account.email is None and account.organization.email_allowed,
        postpone_offered=may_postpone,
        postpone_until=campaign.postpone_until,
        today=today,
        after_reset=has_been_reset,
        reminder_days=days_left if may_postpone and account.last_postponed_at else None,
        last_day=may_postpone and days_left == 0,
        after_deadline=person is not None
        and person.is_required_to_enrol
        and campaign.postpone_until is not None
        and not person.is_postponable_today
        and not has_been_reset
        and not person.enrolled,
        demanded_by=look.client.client_name if checks.level_is_demanded(look.situation) else None,
    )


def _choose_method(look: Look) -> Response:
    with use_cases().units.reading() as unit:
        addresses = {
            credential.method: credential.address
            for credential in unit.scalars(select(Credential).filter_by(account_id=look.account_id, withdrawn_at=None))
        }
    methods = [
        {
            "name": method,
            "title": f"method.{method}",
            "address": masked_address(address) if (address := addresses.get(method)) else None,
        }
        for method in usable_methods(look)
    ]
    _leave_error_of_code(look)
    return _page(look, "signin/choose_method.html", **_who(look), methods=methods, issuer_name=_issuer_name())


def _sending(look: Look, factor: SendsCodes, purpose: Purpose, address: str) -> dict[str, Any]:
    return {
        "sending": use_cases().answers.sending.state(look, factor, purpose, address),
        "address_masked": masked_address(address),
        "zone": _person(look).organization.time_zone,
        "notice": look.interaction.notice,
    }


def _postpone(look: Look) -> Response:
    campaign = campaign_of(_person(look))
    return _page(
        look,
        "signin/postpone_confirm.html",
        postpone_until=campaign.postpone_until,
        today=campaign.today(look.now),
        back_url=_choice_url(look),
        confirm=confirmation(use_cases().derived_keys, look, "postpone"),
    )


def _page(look: Look, template: str, status: int = 200, **context: Any) -> Response:
    stored = look.interaction.error
    action = url_for("idp.answer", interaction_id=look.interaction.id, prompt=look.pending_name)
    shown: dict[str, Any] = {
        "app_name": _of_app(look, "client_name"),
        "action": action,
        "csrf_token": csrf.token(look.interaction.id),
        "error": ErrorText(stored["field"], stored["key"], stored["params"]) if stored else None,
    }
    return render(
        template, status=status, organization=frame(look.account or look.session_account), **{**shown, **context}
    )


def _of_app(look: Look, name: str) -> str | None:
    """What the application says of itself, in the language of the page."""
    texts.refresh_language()
    return look.client.shown(name, texts.language())


def _error_is_of_choice(look: Look) -> bool:
    return str((look.interaction.error or {}).get("key", "")).startswith("choose.")


def _leave_error_of_code(look: Look) -> None:
    """What was wrong with a code is no matter any more once another method is wanted: this page does not show it."""
    if not _error_is_of_choice(look):
        look.interaction.error = None


def _who(look: Look) -> dict[str, Any]:
    account = _person(look)
    return {
        "username": account.username_shown,
        "org_code": account.organization.org_code,
        "restart_url": _other_account_url(look),
    }


def _person(look: Look) -> Account:
    if look.account is None:
        raise RuntimeError("this page is about a person, and nobody is known")
    return look.account


def _issuer_name() -> str:
    return use_cases().settings.brand_name


def _other_methods_url(look: Look) -> str | None:
    if len(usable_methods(look)) < 2:
        return None
    return url_for("idp.show", interaction_id=look.interaction.id, prompt="verify_second_factor", choose="1")


def _choice_url(look: Look) -> str:
    return url_for("idp.show", interaction_id=look.interaction.id, prompt="enrol_second_factor", choose="1")


def _other_account_url(look: Look) -> str:
    return url_for("idp.restart", interaction_id=look.interaction.id, account="other")


def qr_path(text: str) -> tuple[str, int]:
    """The QR code as SVG path data, one step for each run of dark modules, and its size with the quiet zone."""
    matrix = segno.make(text, error="m", micro=False).matrix
    runs = []
    for row, modules in enumerate(matrix):
        column = 0
        while column < len(modules):
            start = column
            while column < len(modules) and modules[column]:
                column += 1
            if column > start:
                runs.append(f"M{start + QUIET_ZONE} {row + QUIET_ZONE}h{column - start}v1h-{column - start}z")
            column += 1
    return "".join(runs), len(matrix) + 2 * QUIET_ZONE
