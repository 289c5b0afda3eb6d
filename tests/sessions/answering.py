"""The provider as it is served, in which every answer also says which process gave it.

python -m idp.cli serve --application tests.sessions.answering:application
"""

import os

from flask import Flask, Response

from idp.cli import serving

HEADER = "X-Answered-By"
APPLICATION = f"{__name__}:application"


def application() -> Flask:
    """What each of granian's worker processes runs."""
    app = serving.application()

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers[HEADER] = str(os.getpid())
        return response

    return app
