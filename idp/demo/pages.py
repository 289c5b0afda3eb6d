"""What the pages of the demonstration have in common: their folders, their headers, and times as people write them."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from flask import Flask, Response, request

HERE = Path(__file__).resolve().parent
ZONE = ZoneInfo("Europe/Amsterdam")
MONTHS = (
    "januari februari maart april mei juni juli augustus september oktober november december"  # Dutch, by number
).split()

# Name of the accent -> (light, dark): the colour of buttons and links. Each reaches 4.5:1 on its background.
ACCENTS = {"plum": ("#7a2e6b", "#e3a5d6"), "moss": ("#3f6212", "#b5d67c"), "slate": ("#3b4a63", "#b3c3dd")}


def new_application(import_name: str, name: str, accent: str, form_action: str, scripts: bool = False) -> Flask:
    """An application with the folders and headers of the demonstration.

    `form_action` is the source list for forms: browsers apply it to the whole chain of redirects after a form.
    `scripts`: its pages run scripts of its own, which ask the application itself.
    Raises ValueError for an unknown accent.
    """
    if accent not in ACCENTS:
        raise ValueError(f"accent is one of {', '.join(ACCENTS)}, not {accent!r}")
    app = Flask(import_name, template_folder=str(HERE / "templates"), static_folder=str(HERE / "static"))
    app.jinja_env.globals.update(application=name, accent=accent, dutch_moment=dutch_moment)
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        + ("script-src 'self'; connect-src 'self'; " if scripts else "")
        + "base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {form_action}"
    )

    @app.after_request
    def set_headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        if request.endpoint not in ("static", "icon", "idp_kit.asset"):
            response.headers["Cache-Control"] = "no-store"
        return response

    @app.get("/icon.svg")
    def icon() -> Response:
        light, _ = ACCENTS[accent]
        drawing = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
            f'<rect width="32" height="32" rx="8" fill="{light}"/>'
            '<path d="M8 10h16M8 16h16M8 22h9" stroke="#fff" stroke-width="3" stroke-linecap="round"/></svg>'
        )
        return Response(drawing, mimetype="image/svg+xml", headers={"Cache-Control": "max-age=3600"})

    return app


def dutch_moment(moment: datetime) -> str:
    """ "1 februari 2026, 14.35 uur", on the clocks of the Netherlands."""
    local = moment.astimezone(ZONE)
    return f"{local.day} {MONTHS[local.month - 1]} {local.year}, {local:%H.%M} uur"
