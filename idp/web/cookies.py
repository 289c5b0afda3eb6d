"""Every cookie: its name and attributes.

    session    the secret of the live session; gone when the browser closes
    binding    the secret that binds interactions to this browser (A29); gone when the browser closes
    device     by which we know a browser in which somebody signed in: it has password tries of its own
    org        the organisation code, when the person asked to remember it
    idp_lang   the language (written by `pages`)

HttpOnly, SameSite=Lax, Path=/, host-only. With an https issuer they are Secure and carry the `__Host-` prefix, so that
no other host or path can plant one (RFC 6265bis 4.1.3.2). Decided by the settings, never by the request.
"""

from datetime import timedelta

from flask import Response, request

from idp.signin.outcomes import Browser
from idp.web import texts
from idp.web.device import device_name
from idp.web.use_cases import use_cases

SESSION = "idp_session"
BINDING = "idp_browser"
DEVICE = "idp_device"
ORGANISATION = "idp_org"
REMEMBERED_FOR = timedelta(days=365)


def _name(name: str) -> str:
    return use_cases().settings.cookie_prefix + name


def browser() -> Browser:
    """What this browser holds, and how it speaks."""
    return Browser(
        request.cookies.get(_name(SESSION)),
        request.cookies.get(_name(BINDING)),
        language=texts.chosen_language(),
        accepts=texts.language(),
        device=device_name(request.user_agent.string),
        known_device=request.cookies.get(_name(DEVICE)),
    )


def remembered_organisation() -> str:
    return request.cookies.get(_name(ORGANISATION), "")[:64]


def remember_organisation(response: Response, org_code: str | None) -> None:
    """The code is filled in next time; None forgets it."""
    if org_code:
        _set(response, ORGANISATION, org_code, REMEMBERED_FOR)
    else:
        _drop(response, ORGANISATION)


def set_session(response: Response, secret: str) -> None:
    _set(response, SESSION, secret)


def drop_session(response: Response) -> None:
    _drop(response, SESSION)


def set_binding(response: Response, secret: str) -> None:
    _set(response, BINDING, secret)


def set_device(response: Response, secret: str) -> None:
    _set(response, DEVICE, secret, use_cases().settings.sign_in.known_device_lifetime)


def _set(response: Response, name: str, value: str, lasts: timedelta | None = None) -> None:
    response.set_cookie(
        _name(name),
        value,
        max_age=lasts,
        path="/",
        secure=use_cases().settings.is_secure,
        httponly=True,
        samesite="Lax",
    )


def _drop(response: Response, name: str) -> None:
    settings = use_cases().settings
    response.delete_cookie(_name(name), path="/", secure=settings.is_secure, httponly=True, samesite="Lax")
