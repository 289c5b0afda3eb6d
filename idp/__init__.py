"""idp: a standalone OpenID Connect provider.

    Where does an authorization request enter?   web/authorize.py -> oidc/authorization_request.py -> signin/flow.py
    What are the steps of login, in order?       signin/prompts.py:PROMPTS
    When is a step due?                          signin/checks.py, one function for each reason
    What does an answer to a step do?            signin/answers.py
    Where do I add a second factor?              one module in factors/, one line in factors/registry.py, two templates
    Where is the 30-minute clock?                sessions/idle.py; the value is `session.idle_timeout`
    Where are tokens minted?                     oidc/token_issuer.py
    How does a client learn of a session's end?  sessions/lifecycle.py:Sessions.end -> oidc/backchannel_logout.py
    Where are the routes?                        web/blueprint.py

Layers, each seeing only those below it:

    cli   demo                 composition, then application, then wiring
    web   jobs                 delivery: HTTP, timers
    signin   admin             use cases; metrics beside them
    oidc                       protocol
    accounts factors sessions consents
    attempts audit mail
    outbox
    store   settings   egress
    texts
    kernel
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from idp.kernel.clock import Clock
    from idp.settings import Settings


def create_app(settings: "Settings | None" = None, clock: "Clock | None" = None) -> "Flask":
    """The WSGI application, ready to serve; without settings they are loaded from the environment.

    `clock` replaces the one that the database decides by. Raises Misconfigured with everything that is wrong.
    """
    from idp.application import assemble
    from idp.settings import load

    return assemble(settings or load(), clock)
