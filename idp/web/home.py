"""The page of the issuer itself, for people who land there by accident."""

from flask import Response

from idp.web.pages import render


def home() -> Response:
    """What this is, and whom to call."""
    return render("issuer/home.html")
