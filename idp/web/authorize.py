"""The authorization endpoint (OIDC Core 3.1.2)."""

from flask import Response, request

from idp.audit.events import AuthorizationRefused
from idp.oidc import authorization_response
from idp.oidc.errors import SentToClient
from idp.sessions.idle import is_top_level_navigation
from idp.signin.outcomes import Begun
from idp.web import cookies, front_channel, responses
from idp.web.signin import go_to
from idp.web.use_cases import use_cases


def authorize() -> Response:
    """GET: a request is answered, or the person is led to the first prompt that is due."""
    services = use_cases()
    asked = front_channel.parameters_of(request.query_string)
    try:
        accepted, client = services.request_intake.from_browser(asked)
    except SentToClient as error:
        return _refused(error)
    navigation = is_top_level_navigation(request.headers.get("Sec-Fetch-Dest"), request.headers.get("Sec-Purpose"))
    outcome = services.flow.begin(accepted, client, cookies.browser(), navigation)
    if isinstance(outcome, Begun):
        return go_to(outcome.interaction_id, outcome.prompt, binding=outcome.binding)
    return responses.send(outcome.response, client.client_name, after_a_form=False)


def authorize_post() -> Response:
    """POST: the same request, led to our own GET, because Lax cookies do not travel with a cross-site POST."""
    body = request.get_data(cache=False)
    front_channel.parameters_of(body)
    return front_channel.lead_to_get("idp.authorize", body)


def _refused(error: SentToClient) -> Response:
    services = use_cases()
    services.refusals.record(
        AuthorizationRefused(error=error.error, detail=error.description, shown=False, client_id=error.client_id)
    )
    return responses.send(authorization_response.refusal(error, services.settings.issuer), "", after_a_form=False)
