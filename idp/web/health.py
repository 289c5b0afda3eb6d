"""Whether this process works: for the container's health check and the load balancer."""

from collections.abc import Callable

from flask import Response, jsonify
from sqlalchemy import text

from idp.web.use_cases import use_cases


def live() -> Response:
    """The process answers."""
    response: Response = jsonify({"status": "live"})
    return response


def ready() -> Response:
    """The database answers, there are keys to sign with, and the clock can be trusted; 503 with the list otherwise."""
    parts = {"database": _database, "keys": _keys, "clock": _clock}
    problems = [name for name, works in parts.items() if not _try(works)]
    response: Response = jsonify({"status": "not ready" if problems else "ready", "problems": problems})
    response.status_code = 503 if problems else 200
    return response


def _try(works: Callable[[], bool]) -> bool:
    try:
        return works()
    except Exception:  # whatever is wrong, it is not ready; the log of the failing part says more
        return False


def _database() -> bool:
    with use_cases().units.reading() as unit:
        return bool(unit.execute(text("SELECT 1")).scalar_one() == 1)


def _keys() -> bool:
    return use_cases().keys.is_ready()


def _clock() -> bool:
    return bool(getattr(use_cases().clock, "is_trusted", True))
