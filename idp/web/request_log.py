"""One line of log for each request: what was called and what came of it, never what was sent."""

import logging

from flask import Flask, Response, g, request

from idp.audit.trail import request_code, request_origin
from idp.kernel.secrets import random_request_code
from idp.settings import Settings
from idp.web.client_address import client_address

log = logging.getLogger("idp.request")


def register(app: Flask, settings: Settings) -> None:
    """Each request has a code, which error pages show and the audit trail keeps, and a line in the log."""

    @app.before_request
    def begin() -> None:
        g.request_code = random_request_code()
        g.is_secure = settings.is_secure
        g.client_address = client_address(
            request.remote_addr or "", request.headers.get("X-Forwarded-For"), settings.trusted_proxies
        )
        request_code.set(g.request_code)
        request_origin.set(g.client_address[:45])

    @app.after_request
    def tell(response: Response) -> Response:
        if request.endpoint not in QUIET:
            told = {"method": request.method, "endpoint": request.endpoint, "status": response.status_code}
            log.info("request", extra={**told, "request_code": g.get("request_code")})
        return response

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        request_code.set(None)
        request_origin.set(None)


# Asked every few seconds by machines, and never interesting.
QUIET = frozenset({"idp.live", "idp.ready", "static_files.serve"})
