"""Sites at origins of their own, which keep what comes to them."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, Response, redirect, request

from idp.demo import server
from tests.services.ports import LOOPBACK

ARRIVED = "Aangekomen"
"""The heading of the page behind their callback."""


def page(title: str, body: str = "") -> str:
    return (
        f'<!doctype html><html lang="nl"><head><meta charset="utf-8"><title>{title}</title>'
        '<link rel="icon" href="/icon.svg"></head>'
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )


@contextmanager
def site_that(onward: str | None = None, policy: str = "") -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A site at an origin of its own, and what came to its callback; `onward` is where it sends people from there.

    `/form` has a form to the callback; `policy` holds for all its pages.
    """
    app, received = Flask("site"), list[dict[str, str]]()

    @app.route("/callback", methods=["GET", "POST"])
    def callback() -> Response:
        received.append({"method": request.method, **request.values.to_dict()})
        if onward is not None:
            return redirect(onward, 303)  # type: ignore[return-value]
        return Response(page(ARRIVED))

    @app.get("/form")
    def form() -> str:
        return page("Formulier", '<form method="post" action="/callback"><button id="send">Verzenden</button></form>')

    @app.get("/icon.svg")
    def icon() -> Response:
        return Response('<svg xmlns="http://www.w3.org/2000/svg"/>', mimetype="image/svg+xml")

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        return response

    with server.serving(app, LOOPBACK, 0) as port:
        yield f"http://{LOOPBACK}:{port}", received
