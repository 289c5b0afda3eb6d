"""Where the provider says that a session ended (OIDC Back-Channel Logout 1.0, Front-Channel Logout 1.0)."""

import logging

from flask import Response, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from idp_kit.clock import Clock
from idp_kit.config import KitConfig, origin
from idp_kit.logout_token import verify_logout_token
from idp_kit.provider import KeysJustRead, Provider, ProviderFailed
from idp_kit.signed import NotYetIssued, TokenRefused, is_identifier
from idp_kit.store import Store

MOST_BYTES = 16_384

_log = logging.getLogger(__name__)


class LogoutReceiver:
    """Two addresses for the provider."""

    def __init__(self, provider: Provider, store: Store, config: KitConfig, clock: Clock) -> None:
        self._provider, self._store, self._config, self._clock = provider, store, config, clock

    def backchannel(self) -> Response:
        """The session that a logout token names is over in every browser: 200, also when nobody was signed in with it.

        400 for what proves nothing, and for a token that was used before. 503 when it cannot be judged now, because
        the keys cannot be read, or because it comes from the future, so that our clock may be behind: the provider
        tries again later.
        """
        issuer, client_id, now = self._config.issuer, self._config.client_id, self._clock.now()
        try:
            given = _logout_token()
            token = self._provider.checked(lambda jwk_set: verify_logout_token(given, jwk_set, issuer, client_id, now))
            if not self._store.end_by_notice(token, now):
                raise TokenRefused("claim jti: the token was used before")
        except (KeysJustRead, NotYetIssued, ProviderFailed) as failure:
            return _answer(503, "temporarily_unavailable", str(failure))
        except TokenRefused as refusal:
            return _answer(400, "invalid_request", str(refusal))
        return _answer(200)

    def frontchannel(self) -> Response:
        """The session that `sid` names at our `iss` is over. The browser's own cookie does not come along from a page
        of another site; who knows a `sid` can end that session and do nothing else with it. Who invents one leaves
        nothing behind."""
        iss, sid = (request.args.getlist(name) for name in ("iss", "sid"))
        if iss != [self._config.issuer] or len(sid) != 1 or not is_identifier(sid[0]):
            return _answer(400, "invalid_request", "iss and sid must name a session of our provider")
        self._store.end_if_known(sid[0], self._clock.now())
        answer = _answer(200)
        frames = f"default-src 'none'; frame-ancestors {origin(self._config.issuer)}"
        answer.headers["Content-Security-Policy"] = frames
        return answer


def _logout_token() -> str:
    """The one parameter of the request. Raises TokenRefused."""
    request.max_content_length = MOST_BYTES
    if request.mimetype != "application/x-www-form-urlencoded":
        raise TokenRefused("not a form with a logout token")
    try:
        given = request.form.getlist("logout_token")
    except RequestEntityTooLarge as error:
        raise TokenRefused("the form is too long") from error
    if len(given) != 1:
        raise TokenRefused("logout_token must be given once")
    return given[0]


def _answer(status: int, error: str = "", description: str = "") -> Response:
    """JSON that nobody keeps (Back-Channel Logout 2.8)."""
    if error:
        _log.warning("a logout notice was answered with %s: %s", status, description.encode("unicode_escape").decode())
    answer = jsonify({"error": error, "error_description": description} if error else {})
    answer.status_code = status
    answer.headers["Cache-Control"] = "no-store"
    return answer
