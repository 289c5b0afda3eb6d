"""Settings become an application: Flask, the session holder, the services and the routes."""

from datetime import timedelta
from string import printable
from typing import Any
from urllib.parse import quote

from flask import Flask, Request

from idp.kernel.clock import Clock
from idp.kernel.resources import folder
from idp.settings import Settings
from idp.store.engine import db, engine_options, set_up_connections
from idp.web import cors, dpop, error_pages, headers, request_log
from idp.web.blueprint import at_the_root, blueprint
from idp.web.pages import FRAME_KEY, FrameOrganization, init_pages
from idp.web.texts import DEFAULT_LANGUAGE_KEY
from idp.wiring import build, clock_for

# Nothing that people or clients send is larger; what is gets 413 before any of it is read.
LARGEST_REQUEST = 128 * 1024


class _Request(Request):
    """A request whose query is ASCII, as a URL is (RFC 3986 2): other bytes are percent-encoded, never an exception."""

    def __init__(self, environ: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        environ["QUERY_STRING"] = quote(environ.get("QUERY_STRING", "").encode("latin-1"), safe=printable)
        super().__init__(environ, *args, **kwargs)


def assemble(settings: Settings, clock: Clock | None) -> Flask:
    """The application. No secret of it is in Flask's own configuration; Flask's signed session is not used."""
    app = Flask("idp", template_folder=str(folder("templates")), static_folder=None)
    app.request_class = _Request
    # An address is right or unknown. Werkzeug would lead from `//` to `/`, to whatever host the request names.
    app.url_map.merge_slashes = False
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        MAX_FORM_MEMORY_SIZE=LARGEST_REQUEST,
        SESSION_COOKIE_SECURE=settings.is_secure,
        SQLALCHEMY_DATABASE_URI=settings.database.url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database.url, settings.database.pool_size),
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config[DEFAULT_LANGUAGE_KEY] = settings.default_language
    app.config[FRAME_KEY] = FrameOrganization(
        settings.brand_name,
        settings.service_desk_phone,
        settings.service_desk_hours,
        settings.session.idle_timeout // timedelta(minutes=1),
        hours_language=settings.default_language,
    )
    db.init_app(app)
    with app.app_context():
        set_up_connections(db.engine, settings.database.busy_timeout)
        clock = clock or clock_for(db.engine)
    app.extensions["idp"] = build(settings, db.session, clock)
    init_pages(app, settings.issuer_path or None)
    app.register_blueprint(blueprint(), url_prefix=settings.issuer_path or None)
    app.register_blueprint(at_the_root(settings.issuer_path))
    error_pages.register(app)
    request_log.register(app, settings)
    app.after_request(headers.set_headers)
    app.after_request(cors.set_cors)
    app.after_request(dpop.set_nonce)
    return app
