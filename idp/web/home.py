"""The page of the issuer itself: for people who land there by accident, and for those who build an application."""

from flask import Response

from idp.oidc.discovery import OPENID_CONFIGURATION
from idp.web import cookies, discovery, examples, session_over
from idp.web.pages import render
from idp.web.use_cases import use_cases


def home() -> Response:
    """What this is, and whom to call; then, folded away, what the configuration says. Somebody whose session is over by
    itself is told that instead.
    """
    over = use_cases().logout.over(cookies.browser().session_secret)
    if over is not None:
        return session_over.page(over)
    metadata, registration = discovery.document(), use_cases().registration.rules.mode
    # In this order: of a key that is published meanwhile nothing is shown, and the times of all others are known.
    published = use_cases().keys.published()["keys"]
    times = {key.kid: key for key in use_cases().signing_keys.show()}
    return render(
        "issuer/home.html",
        metadata=list(metadata.items()),
        configuration=metadata["issuer"] + OPENID_CONFIGURATION,
        registration=registration,
        keys=[(jwk, times[jwk["kid"]]) for jwk in published],
        examples=examples.of(metadata, registration),
    )
