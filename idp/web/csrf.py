"""The token in every form: an HMAC over the browser's binding and what the form is about.

SameSite=Lax already keeps cross-site POSTs without cookies; this also stops other origins of the same site. Nothing is
stored: the token says that whoever shows it could read a page which we gave to this very browser.
"""

from flask import request
from werkzeug.exceptions import Forbidden

from idp.audit.events import FormRefused
from idp.kernel.secrets import is_same
from idp.web import cookies
from idp.web.use_cases import use_cases

FIELD = "csrf_token"


def token(about: str) -> str:
    """The token of a form about this: an interaction, or logging out."""
    browser = cookies.browser()
    return use_cases().derived_keys.mac_text("csrf", browser.binding or browser.session_secret or "", about)


def require(about: str) -> None:
    """Raises Forbidden unless the posted form carries the token for this."""
    if not is_same(request.form.get(FIELD, ""), token(about)):
        use_cases().refusals.record(FormRefused())
        raise Forbidden("the form does not belong to this browser")
