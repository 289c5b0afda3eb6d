"""The page of the issuer itself, for people who land there by accident."""

from flask import Response

from idp.web import cookies, session_over
from idp.web.pages import render
from idp.web.use_cases import use_cases


def home() -> Response:
    """What this is, and whom to call; for somebody whose session is over by itself, that it is."""
    over = use_cases().logout.over(cookies.browser().session_secret)
    if over is not None:
        return session_over.page(over)
    return render("issuer/home.html")
