"""What somebody is told whose session ended without their doing, wherever they come back."""

from flask import Response

from idp.oidc.clients import Client
from idp.signin.logout import Over
from idp.web.pages import render
from idp.web.screens import frame
from idp.web.use_cases import use_cases


def page(over: Over, client: Client | None = None, restart_url: str | None = None, status: int = 200) -> Response:
    """The page with one button: to the attempt that starts anew, or to the application that asked or joined last."""
    client = client or over.client
    return render(
        "signin/session_over.html",
        status=status,
        organization=frame(over.account),
        by_itself=over.why != "administrator",
        why=over.notice,
        slots=over.slots,
        restart_url=restart_url,
        app_name=client.client_name if client else None,
        app_url=client.home(use_cases().settings.issuer) if client else None,
    )
